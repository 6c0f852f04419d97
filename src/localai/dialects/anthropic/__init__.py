"""The Anthropic API: messages, the count of their tokens, files, and the list of models.

`messages` holds the first two endpoints. `requests` lists every field that a body may have,
`conversation` and `blocks` make domain messages of a history, `answer` holds the encoders, and
`errors` is the table of errors.

To add an endpoint: a body in `requests`, a module with its `Endpoint`, and golden files under
`tests/dialects/anthropic`.
"""

from localai.dialects.anthropic.errors import error_reply
from localai.dialects.anthropic.files import FilesEndpoint
from localai.dialects.anthropic.messages import (
    CountTokensCall,
    CountTokensEndpoint,
    MessagesEndpoint,
)
from localai.dialects.anthropic.models import ModelCard, encode_model, encode_models

__all__ = [
    "CountTokensCall",
    "CountTokensEndpoint",
    "FilesEndpoint",
    "MessagesEndpoint",
    "ModelCard",
    "encode_model",
    "encode_models",
    "error_reply",
]
