"""Installing models over HTTP: LocalAI's bodies."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from localai.dialects.json_body import read_body
from localai.domain.errors import InvalidRequest

_ENTRY_FIELDS = ("url", "files", "config_file", "prompt_templates")


class ModelFile(msgspec.Struct, kw_only=True):
    """A file of a model."""

    filename: Annotated[str, Meta(description="Its name, relative to the models folder")]
    uri: Annotated[str, Meta(description="Where it comes from")]
    sha256: Annotated[str, Meta(description="Its checksum, in hexadecimal")] = ""


class ModelApplyBody(msgspec.Struct, kw_only=True):
    """The body of a call that installs a model: an entry's name, or an entry itself."""

    id: Annotated[
        str,
        Meta(description="`name` or `gallery@name`, or where the files are: owner/repo, ..."),
    ] = ""
    name: Annotated[str, Meta(description="What to call the model")] = ""
    variant: Annotated[str, Meta(description="Which build; default: the largest that fits")] = ""
    overrides: Annotated[dict[str, Any] | None, Meta(description="Goes over the model file")] = None
    url: Annotated[str, Meta(description="Where a base configuration is")] = ""
    files: Annotated[list[ModelFile] | None, Meta(description="The files of an entry")] = None
    config_file: Annotated[
        dict[str, Any] | str | None, Meta(description="The model file of an entry")
    ] = None
    prompt_templates: list[dict[str, str]] | None = None
    description: str = ""
    license: str = ""
    force: Annotated[bool, Meta(description="Replace what is there already")] = False


class ImportUriBody(msgspec.Struct, kw_only=True):
    """The body of a call that installs a model from where its files are."""

    uri: Annotated[str, Meta(description="Where the files are")]
    preferences: Annotated[
        dict[str, Any] | None,
        Meta(description="`name`, `backend`, `description`, `quantizations`"),
    ] = None


_apply_decoder = msgspec.json.Decoder(ModelApplyBody)
_import_decoder = msgspec.json.Decoder(ImportUriBody)


def decode_model_apply(body: bytes) -> dict[str, Any]:
    """What is to be installed, as a job keeps it. Raises InvalidRequest."""
    read = read_body(_apply_decoder, body)
    wish: dict[str, Any] = {}
    if read.id.strip():
        wish["written"] = read.id.strip()
    elif any(getattr(read, name) for name in _ENTRY_FIELDS):
        if not read.name:
            raise InvalidRequest("name is missing: what to call the model.", param="name")
        entry = msgspec.to_builtins(read)
        wish["entry"] = {
            key: value
            for key, value in entry.items()
            if value and key not in ("id", "variant", "force", "overrides")
        }
    elif read.name.strip():
        wish["written"] = read.name.strip()
        return _with(wish, read, name="")
    else:
        raise InvalidRequest("id is missing: the name of the model to install.", param="id")
    return _with(wish, read, name=read.name.strip())


def decode_import_uri(body: bytes) -> dict[str, Any]:
    """What is to be installed, as a job keeps it. Raises InvalidRequest."""
    read = read_body(_import_decoder, body)
    if not read.uri.strip():
        raise InvalidRequest("uri is missing: where the files are.", param="uri")
    said = read.preferences or {}
    texts = {key: said.get(key, "") for key in ("name", "backend", "description", "quantizations")}
    wrong = next((key for key, value in texts.items() if not isinstance(value, str)), None)
    if wrong is not None:
        raise InvalidRequest(f"preferences.{wrong} must be text.", param=f"preferences.{wrong}")
    overrides = {key: texts[key] for key in ("backend", "description") if texts[key]}
    found = {
        "written": read.uri.strip(),
        "name": texts["name"].strip(),
        "variant": texts["quantizations"].partition(",")[0].strip(),
        "overrides": overrides,
    }
    return {key: value for key, value in found.items() if value}


def _with(wish: dict[str, Any], read: ModelApplyBody, *, name: str) -> dict[str, Any]:
    more = {
        "name": name,
        "variant": read.variant.strip(),
        "overrides": read.overrides,
        "force": read.force,
    }
    return wish | {key: value for key, value in more.items() if value}
