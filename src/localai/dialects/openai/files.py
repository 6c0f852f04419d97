"""Uploaded files: the fields of an upload, lists, and the File object.

Source: the types of OpenAI's Python client 3.51, and its API reference, "Files".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from localai.dialects.contract import ErrorReply
from localai.dialects.fields import whole_number
from localai.dialects.openai.errors import error_reply
from localai.domain.errors import InvalidRequest, LocalAIError
from localai.domain.files import FilePage, FileQuery, NewFile, StoredFile

PURPOSES = ("assistants", "batch", "fine-tune", "vision", "user_data", "evals")
LEAST_TTL_S, MOST_TTL_S = 3600, 2_592_000
MOST_LISTED = 10_000

_ANCHOR, _SECONDS = "expires_after[anchor]", "expires_after[seconds]"


class ExpiresAfter(msgspec.Struct, kw_only=True):
    """When a file is forgotten: so many seconds after `created_at`."""

    anchor: str
    seconds: int


class UploadForm(msgspec.Struct, kw_only=True):
    """POST /v1/files, as multipart/form-data."""

    file: Annotated[str, Meta(description="The file", extra_json_schema={"format": "binary"})]
    purpose: Annotated[str, Meta(description=f"One of {', '.join(PURPOSES)}")]
    expires_after: ExpiresAfter | None = None


class FilesEndpoint:
    """Files in OpenAI's words."""

    def upload(self, fields: Mapping[str, str]) -> NewFile:
        """Read the fields beside the file. Raises InvalidRequest with `param`."""
        purpose = fields.get("purpose", "")
        if purpose not in PURPOSES:
            what = f"is {purpose[:40]!r}" if purpose else "is missing"
            message = f"purpose {what}; it must be one of {', '.join(PURPOSES)}."
            raise InvalidRequest(message, param="purpose")
        return NewFile(purpose=purpose, ttl_s=_ttl_s(fields))

    def query(self, params: Mapping[str, Sequence[str]]) -> FileQuery:
        """Read `limit`, `order`, `after` and `purpose`. Raises InvalidRequest with `param`."""
        last = {name: values[-1] for name, values in params.items() if values and values[-1]}
        order = last.get("order", "desc")
        if order not in {"asc", "desc"}:
            raise InvalidRequest(f"order is {order[:40]!r}; it must be asc or desc.", param="order")
        limit = last.get("limit")
        return FileQuery(
            limit=MOST_LISTED if limit is None else whole_number(limit, "limit", 1, MOST_LISTED),
            is_ascending=order == "asc",
            after=last.get("after"),
            purpose=last.get("purpose"),
        )

    def encode(self, file: StoredFile) -> bytes:
        """Spell one file."""
        return msgspec.json.encode(_spelled(file))

    def encode_page(self, page: FilePage) -> bytes:
        """Spell a list."""
        files = page.files
        named: dict[str, Any] = {
            "object": "list",
            "data": [_spelled(file) for file in files],
            "first_id": files[0].file_id if files else "",
            "last_id": files[-1].file_id if files else "",
            "has_more": page.has_more,
        }
        return msgspec.json.encode(named)

    def encode_deleted(self, file_id: str) -> bytes:
        """Spell that a file is no more."""
        return msgspec.json.encode({"id": file_id, "object": "file", "deleted": True})

    def error(self, error: LocalAIError) -> ErrorReply:
        """Spell an error."""
        return error_reply(error)


def _ttl_s(fields: Mapping[str, str]) -> float | None:
    seconds, anchor = fields.get(_SECONDS), fields.get(_ANCHOR)
    if seconds is None and anchor is None:
        return None
    if anchor != "created_at":
        what = "is missing" if anchor is None else f"is {anchor[:40]!r}"
        raise InvalidRequest(f"{_ANCHOR} {what}; it must be created_at.", param="expires_after")
    if seconds is None:
        raise InvalidRequest(f"{_SECONDS} is missing.", param="expires_after")
    return float(whole_number(seconds, _SECONDS, LEAST_TTL_S, MOST_TTL_S))


def _spelled(file: StoredFile) -> dict[str, Any]:
    expires = {} if file.expires_unix_s is None else {"expires_at": file.expires_unix_s}
    return {
        "id": file.file_id,
        "object": "file",
        "bytes": file.size_bytes,
        "created_at": file.created_unix_s,
        **expires,
        "filename": file.filename,
        "purpose": file.purpose,
        "status": "processed",
    }
