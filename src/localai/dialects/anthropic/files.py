"""Uploaded files: the fields of an upload, lists, and a file's metadata.

Lists are spelled for both generations of Anthropic's clients: `next_page` for those that ask for
`page`, `last_id` for those that ask for `after_id`.
Source: the types of Anthropic's Python client 2.11, and its API reference, "Files".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from localai.dialects.anthropic.errors import error_reply
from localai.dialects.contract import ErrorReply
from localai.dialects.fields import whole_number
from localai.domain.errors import InvalidRequest, LocalAIError
from localai.domain.files import FilePage, FileQuery, NewFile, StoredFile

LEAST_TTL_S, MOST_TTL_S = 3600, 7_776_000
MOST_LISTED, MOST_IDS = 1000, 100

_LISTED = 20
_PAGE = "page_"


class FilesEndpoint:
    """Files in Anthropic's words."""

    def upload(self, fields: Mapping[str, str]) -> NewFile:
        """Read the fields beside the file. Raises InvalidRequest with `param`."""
        name = "expires_in_seconds"
        seconds = fields.get(name)
        if seconds is None:
            return NewFile()
        return NewFile(ttl_s=float(whole_number(seconds, name, LEAST_TTL_S, MOST_TTL_S)))

    def query(self, params: Mapping[str, Sequence[str]]) -> FileQuery:
        """Read `limit`, `page` or `after_id`, and `ids`. Raises InvalidRequest with `param`."""
        last = {name: values[-1] for name, values in params.items() if values and values[-1]}
        if "before_id" in last:
            message = "before_id is not supported; lists go from the newest file to older ones."
            raise InvalidRequest(message, param="before_id", hint="Use after_id, or page.")
        limit, page, after = last.get("limit"), last.get("page"), last.get("after_id")
        if page is not None and not page.startswith(_PAGE):
            message = f"page is {page[:40]!r}; it must be the next_page of a list."
            raise InvalidRequest(message, param="page")
        ids = _ids(params)
        if "scope_id" in last:  # files of Anthropic's sessions, which are not here
            ids = ()
        listed = _LISTED if limit is None else whole_number(limit, "limit", 1, MOST_LISTED)
        return FileQuery(
            limit=MOST_IDS if ids else listed,
            after=page.removeprefix(_PAGE) if page else after,
            file_ids=ids,
        )

    def encode(self, file: StoredFile) -> bytes:
        """Spell one file."""
        return msgspec.json.encode(_spelled(file))

    def encode_page(self, page: FilePage) -> bytes:
        """Spell a list."""
        files = page.files
        named: dict[str, Any] = {
            "data": [_spelled(file) for file in files],
            "next_page": f"{_PAGE}{files[-1].file_id}" if page.has_more else None,
            "first_id": files[0].file_id if files else None,
            "last_id": files[-1].file_id if files else None,
            "has_more": page.has_more,
        }
        return msgspec.json.encode(named)

    def encode_deleted(self, file_id: str) -> bytes:
        """Spell that a file is no more."""
        return msgspec.json.encode({"id": file_id, "type": "file_deleted"})

    def error(self, error: LocalAIError) -> ErrorReply:
        """Spell an error."""
        return error_reply(error)


def _ids(params: Mapping[str, Sequence[str]]) -> tuple[str, ...] | None:
    """The files that are asked for by name: `ids=a&ids=b`, with or without brackets."""
    given = [*params.get("ids", ()), *params.get("ids[]", ())]
    if not given:
        return None
    ids = tuple(dict.fromkeys(given))
    if len(ids) > MOST_IDS:
        message = f"ids names {len(ids)} files; it may name at most {MOST_IDS}."
        raise InvalidRequest(message, param="ids")
    if "page" in params or "limit" in params:
        message = "ids cannot be sent together with page or limit."
        raise InvalidRequest(message, param="ids")
    return ids


def _spelled(file: StoredFile) -> dict[str, Any]:
    expires = file.expires_unix_s
    return {
        "id": file.file_id,
        "type": "file",
        "filename": file.filename,
        "mime_type": file.media_type,
        "size_bytes": file.size_bytes,
        "created_at": _date(file.created_unix_s),
        "expires_at": None if expires is None else _date(expires),
        "downloadable": True,
    }


def _date(unix_s: int) -> str:
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
