"""Creating models: bodies, and the lines that tell how it goes."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from localai.dialects.json_body import read_body
from localai.dialects.ollama.spelling import to_line
from localai.domain.downloads import NewModel
from localai.domain.errors import InvalidRequest, Unsupported

_DEFAULT_TAG = ":latest"
_DIGEST = re.compile(r"sha256[:-]([0-9a-f]{64})")


class BeginMessage(msgspec.Struct, kw_only=True):
    """A message that every conversation with the model begins with."""

    role: Literal["system", "user", "assistant"]
    content: str


class CreateBody(msgspec.Struct, kw_only=True):
    """POST /api/create."""

    model: Annotated[str | None, Meta(description="What the new model is called")] = None
    name: Annotated[str | None, Meta(description="Older name of model")] = None
    from_: Annotated[
        str | None, Meta(description="The model to begin with; it is pulled if it is not there")
    ] = msgspec.field(default=None, name="from")
    files: Annotated[
        dict[str, str] | None,
        Meta(description="Its files: name to digest, of files sent to /api/blobs before"),
    ] = None
    adapters: Annotated[
        dict[str, str] | None, Meta(description="LoRA adapters in GGUF files: name to digest")
    ] = None
    parameters: Annotated[
        dict[str, Any] | None, Meta(description="Default options, such as temperature or num_ctx")
    ] = None
    system: Annotated[str | None, Meta(description="The system prompt")] = None
    messages: Annotated[
        list[BeginMessage] | None, Meta(description="What every conversation begins with")
    ] = None
    license: Annotated[str | list[str] | None, Meta(description="The terms of its use")] = None
    template: Annotated[
        str | None, Meta(description="How a conversation is written, in Ollama's form")
    ] = None
    quantize: Annotated[str | None, Meta(description="Refused: send a quantized file")] = None
    renderer: Annotated[str | None, Meta(description="Has no effect")] = None
    parser: Annotated[str | None, Meta(description="Has no effect")] = None
    stream: Annotated[
        bool | None, Meta(description="Tell how far it is, as lines; on unless it is false")
    ] = None

    @property
    def called(self) -> str:
        """What the new model is called, without the tag that means nothing."""
        return (self.model or self.name or "").strip().removesuffix(_DEFAULT_TAG)

    @property
    def licenses(self) -> str:
        """The terms as one text."""
        said = self.license or ""
        return said if isinstance(said, str) else "\n".join(said)


_decoder = msgspec.json.Decoder(CreateBody)


def decode_create(body: bytes) -> tuple[CreateBody, NewModel]:
    """Read the body: as it came, and what it means. Raises InvalidRequest, Unsupported.

    The parameters are not in the new model's `config` yet: they have Ollama's spellings.
    """
    read = read_body(_decoder, body)
    if not read.called:
        raise InvalidRequest("model is missing.", param="model")
    if read.quantize:
        raise Unsupported(
            "Models are not quantized here.",
            param="quantize",
            hint="Send a GGUF file that is quantized already, for example by llama-quantize.",
        )
    base = (read.from_ or "").strip().removesuffix(_DEFAULT_TAG)
    if not (base or read.files):
        raise InvalidRequest(
            "Neither from nor files says what the model is made of.",
            param="from",
            hint="Name an installed model in `from`, or files sent to /api/blobs in `files`.",
        )
    if base and read.files:
        raise InvalidRequest("Only one of from and files can be given.", param="files")
    return read, NewModel(
        name=read.called,
        base=base,
        files=_digests(read.files, "files"),
        adapters=_digests(read.adapters, "adapters"),
        config=_config(read),
        template=read.template or "",
    )


def encode_status(status: str) -> bytes:
    """How far it is, as one line."""
    return to_line({"status": status})


def _config(read: CreateBody) -> dict[str, object]:
    said: dict[str, object] = {
        "system_prompt": read.system,
        "messages": [msgspec.to_builtins(one) for one in read.messages or ()],
        "license": read.licenses,
    }
    return {name: value for name, value in said.items() if value}


def _digests(files: dict[str, str] | None, param: str) -> dict[str, str]:
    found = {}
    for name, digest in (files or {}).items():
        match = _DIGEST.fullmatch(digest.lower())
        if match is None:
            raise InvalidRequest(
                f"{param}: the digest of {name[:100]!r} is {digest[:100]!r}.",
                param=param,
                hint="A digest is `sha256:` and 64 hexadecimal digits, those of the whole file.",
            )
        found[name] = match[1]
    return found
