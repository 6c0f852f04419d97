"""The OpenAI API: chat completions, completions, edits, speech, files, and the list of models.

`chat`, `completions` and `edits` each hold one endpoint (`ChatEndpoint` and so on): a decoder from
a request body to requests, and the encoders of its answers. `requests` lists every field that a
body may have; `errors` is the table of errors. Fields that LocalAI added are understood as well.

To add an endpoint: a body in `requests`, a module with its `Endpoint`, and golden files under
`tests/dialects/openai`.
"""

from localai.dialects.openai.chat import ChatEndpoint
from localai.dialects.openai.completions import CompletionEndpoint
from localai.dialects.openai.edits import EditEndpoint
from localai.dialects.openai.errors import error_reply
from localai.dialects.openai.files import FilesEndpoint, UploadForm
from localai.dialects.openai.models import ModelCard, encode_model, encode_models
from localai.dialects.openai.speech import SpeechEndpoint, TtsEndpoint, encode_voices
from localai.dialects.openai.transcriptions import TranscriptionEndpoint, TranslationEndpoint

__all__ = [
    "ChatEndpoint",
    "CompletionEndpoint",
    "EditEndpoint",
    "FilesEndpoint",
    "ModelCard",
    "SpeechEndpoint",
    "TranscriptionEndpoint",
    "TranslationEndpoint",
    "TtsEndpoint",
    "UploadForm",
    "encode_model",
    "encode_models",
    "encode_voices",
    "error_reply",
]
