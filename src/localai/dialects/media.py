"""Media in a request body: data URIs and base64 are read here, addresses are left to the door.

A decoder is pure and fetches nothing. Where a body names an address, the decoded message holds an
`AddressedMedia`, which `http` replaces by what it fetched before anything else sees it.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass

from localai.domain.errors import InvalidRequest
from localai.domain.parts import Media, MediaKind

_DATA_URI = re.compile(r"data:([\w.+-]+/[\w.+-]+)?((?:;[\w.+-]+=[^;,]*)*)(;base64)?,", re.ASCII)
_ADDRESS = re.compile(r"https?://", re.IGNORECASE)
_BEGINNINGS: tuple[tuple[bytes, int, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", 0, "image/png"),
    (b"\xff\xd8\xff", 0, "image/jpeg"),
    (b"GIF8", 0, "image/gif"),
    (b"WEBP", 8, "image/webp"),
    (b"BM", 0, "image/bmp"),
    (b"WAVE", 8, "audio/wav"),
    (b"fLaC", 0, "audio/flac"),
    (b"OggS", 0, "audio/ogg"),
    (b"ID3", 0, "audio/mpeg"),
    *(
        (b"\xff" + bytes([version]), 0, "audio/mpeg")
        for version in (0xFB, 0xFA, 0xF3, 0xF2, 0xE3, 0xE2)
    ),
    (b"ftyp", 4, "video/mp4"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressedMedia(Media):
    """A place for media that is still at `address`; `path` names the field, for errors."""

    address: str
    path: str


def media_from(text: str, kind: MediaKind, path: str) -> Media:
    """The media in `text`: a data URI, an http(s) address, or bare base64.

    Raises InvalidRequest with `param` when it is none of them, or not the kind that was meant.
    """
    if _ADDRESS.match(text):
        return AddressedMedia(kind=kind, media_type="", data=b"", address=text, path=path)
    declared = ""
    if text[:5].lower() == "data:":
        head = _DATA_URI.match(text)
        if head is None or not head[3]:
            message = f"{path} is a data URI that is not base64; it must begin like data:image/png;base64,..."
            raise InvalidRequest(message, param=path)
        declared, text = head[1] or "", text[head.end() :]
    return checked_media(_bytes(text, path), kind, path, declared=declared)


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
}


def media_type_of(data: bytes) -> str:
    """The media type that the first bytes show; empty when they show none."""
    for beginning, offset, media_type in _BEGINNINGS:
        if data[offset : offset + len(beginning)] == beginning:
            return media_type
    return ""


def _bytes(text: str, path: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidRequest(f"{path} is not base64: {error}.", param=path) from None
    if not data:
        raise InvalidRequest(f"{path} is empty.", param=path)
    return data
