"""Media in a request body: data URIs and base64 are read here, the rest is left to the door.

A decoder is pure and fetches nothing. Where a body names an address or an uploaded file, the
decoded message holds a `PendingMedia`, which `http` replaces by what it found before anything else
sees it. Documents are always pending: making text of them is work.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from localai.domain.errors import InvalidRequest
from localai.domain.media_types import media_type_of
from localai.domain.parts import Media, MediaKind, Part, Text

_DATA_URI = re.compile(r"data:([\w.+-]+/[\w.+-]+)?((?:;[\w.+-]+=[^;,]*)*)(;base64)?,", re.ASCII)
_ADDRESS = re.compile(r"https?://", re.IGNORECASE)
_OTHER_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]{0,20}://", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingMedia(Media):
    """A place for media that is elsewhere; `path` names the field, for errors.

    It is at `address`, or in the uploaded file `file_id`.
    """

    path: str
    address: str = ""
    file_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingDocument(PendingMedia):
    """A place for the text of a document, which may have its `data` already.

    `media_type` is what the sender says it is, perhaps empty; `title` and `context` go before it.
    """

    kind: MediaKind = MediaKind.DOCUMENT
    media_type: str = ""
    data: bytes = b""
    title: str = ""
    context: str = ""


def media_from(text: str, kind: MediaKind, path: str) -> Media:
    """The media in `text`: a data URI, an http(s) address, or bare base64.

    Raises InvalidRequest with `param` when it is none of them, or not the kind that was meant.
    """
    if _ADDRESS.match(text):
        return PendingMedia(kind=kind, media_type="", data=b"", address=text, path=path)
    if other := _OTHER_ADDRESS.match(text):
        message = f"{path} begins with {other[0]}; it must be http://, https:// or data:."
        raise InvalidRequest(message, param=path)
    declared, data = _declared_and_data(text, path)
    return checked_media(data, kind, path, declared=declared)


def stored_media(file_id: str, kind: MediaKind, path: str) -> PendingMedia:
    """The media in an uploaded file."""
    return PendingMedia(kind=kind, media_type="", data=b"", file_id=file_id, path=path)


def document_from(
    path: str, fields: Mapping[str, str | None], *, title: str | None = None
) -> PendingDocument:
    """The document in the part at `path`, in the one of its `fields` that is not empty.

    The fields are those that the API has: `file_data`, `file_id`, `file_url`. Raises
    InvalidRequest with `param` when that is not one, or no base64, or no address.
    """
    given = {name: value for name, value in fields.items() if value}
    if len(given) != 1:
        *most, last = fields
        what = " and ".join(given) or "none"
        message = f"{path} must have one of {', '.join(most)} and {last}; it has {what}."
        raise InvalidRequest(message, param=path)
    [(name, value)] = given.items()
    path, title = f"{path}.{name}", title or ""
    if name == "file_id":
        return PendingDocument(path=path, file_id=value, title=title)
    if name == "file_url":
        return document_at(value, path, title=title)
    declared, data = _declared_and_data(value, path)
    return PendingDocument(path=path, data=data, media_type=declared, title=title)


def document_at(address: str, path: str, *, title: str = "", context: str = "") -> PendingDocument:
    """The document at an address. Raises InvalidRequest with `param` when it is none."""
    if not _ADDRESS.match(address):
        raise InvalidRequest(f"{path} must begin with http:// or https://.", param=path)
    return PendingDocument(path=path, address=address, title=title, context=context)


def framed(name: str, parts: Sequence[Part], **heading: str | None) -> tuple[Part, ...]:
    """`parts` between tags and after their heading, as Anthropic's guide to prompts advises."""
    lines = "".join(f"<{key}>{text}</{key}>\n" for key, text in heading.items() if text)
    return (Text(text=f"\n<{name}>\n{lines}"), *parts, Text(text=f"\n</{name}>\n"))


def _declared_and_data(text: str, path: str) -> tuple[str, bytes]:
    """The media type that a data URI declares, or none, and the bytes."""
    if text[:5].lower() != "data:":
        return "", _bytes(text, path)
    head = _DATA_URI.match(text)
    if head is None or not head[3]:
        message = (
            f"{path} is a data URI that is not base64; it must begin like data:image/png;base64,..."
        )
        raise InvalidRequest(message, param=path)
    return head[1] or "", _bytes(text[head.end() :], path)


def checked_media(data: bytes, kind: MediaKind, path: str, *, declared: str = "") -> Media:
    """Media of that kind, by its own first bytes. Raises InvalidRequest when it is another."""
    found = media_type_of(data)
    if found and not found.startswith(f"{kind.value}/"):
        raise InvalidRequest(f"{path} holds {found}, not {_ARTICLES[kind]}.", param=path)
    if not found and not declared.startswith(f"{kind.value}/"):
        message = f"{path} holds no {kind.value} that this server knows."
        hint = "PNG, JPEG, GIF, WebP and BMP images and WAV, MP3, FLAC and Ogg sound are known."
        raise InvalidRequest(message, param=path, hint=hint)
    return Media(kind=kind, media_type=found or declared, data=data)


_ARTICLES = {
    MediaKind.IMAGE: "an image",
    MediaKind.AUDIO: "sound",
    MediaKind.VIDEO: "a video",
    MediaKind.DOCUMENT: "a document",
}


def _bytes(text: str, path: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidRequest(f"{path} is not base64: {error}.", param=path) from None
    if not data:
        raise InvalidRequest(f"{path} is empty.", param=path)
    return data
