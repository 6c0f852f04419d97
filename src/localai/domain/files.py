"""Uploaded files, as they are spoken of."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """An uploaded file. Times are seconds of Unix time; one that expires never has no end.

    `filename` is the caller's, for people to read: no path on this machine is made of it.
    """

    file_id: str
    filename: str
    media_type: str
    purpose: str
    size_bytes: int
    created_unix_s: int
    expires_unix_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFile:
    """What an upload says of its file. `ttl_s` None: as long as the server keeps files."""

    purpose: str = "user_data"
    ttl_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileQuery:
    """Which files to list: at most `limit`, those after the file `after`, of one `purpose`.

    With `file_ids`, only those of them that are there.
    """

    limit: int
    is_ascending: bool = False
    after: str | None = None
    purpose: str | None = None
    file_ids: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FilePage:
    """Some files, and whether there are more after them."""

    files: tuple[StoredFile, ...]
    has_more: bool
