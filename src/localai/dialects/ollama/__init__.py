"""The Ollama API: chat, generate, embeddings, and what it says of models.

`chat`, `generate` and `embeddings` each hold one endpoint; `answer` spells the first two, as lines
of JSON or whole. `library` holds the readers and writers of the other routes. `requests` lists
every field that a body may have; `errors` is the table of errors.

To add an endpoint: a body in `requests`, a module with its `Endpoint`, and golden files under
`tests/dialects/ollama`.
"""

from localai.dialects.ollama.call import GenerationCall
from localai.dialects.ollama.changes import (
    CopyBody,
    PullBody,
    decode_copy,
    decode_pull,
    encode_progress,
)
from localai.dialects.ollama.chat import ChatEndpoint
from localai.dialects.ollama.creation import CreateBody, decode_create, encode_status
from localai.dialects.ollama.embeddings import EmbedCall, EmbedEndpoint
from localai.dialects.ollama.errors import error_reply
from localai.dialects.ollama.generate import GenerateEndpoint
from localai.dialects.ollama.library import (
    RUNNING,
    SPOKEN_VERSION,
    LoadedModelCard,
    ModelDetailsCard,
    ModelFactsCard,
    ShowRequest,
    decode_show,
    encode_ps,
    encode_show,
    encode_tags,
    encode_version,
)

__all__ = [
    "RUNNING",
    "SPOKEN_VERSION",
    "ChatEndpoint",
    "CopyBody",
    "CreateBody",
    "EmbedCall",
    "EmbedEndpoint",
    "GenerateEndpoint",
    "GenerationCall",
    "LoadedModelCard",
    "ModelDetailsCard",
    "ModelFactsCard",
    "PullBody",
    "ShowRequest",
    "decode_copy",
    "decode_create",
    "decode_pull",
    "decode_show",
    "encode_progress",
    "encode_ps",
    "encode_show",
    "encode_status",
    "encode_tags",
    "encode_version",
    "error_reply",
]
