"""What a file holds, by its own first bytes."""

from __future__ import annotations

import re

PDF = "application/pdf"
_PDF_MARK = b"%PDF-"
_PDF_WITHIN = 1024  # bytes; some writers put other things first, and readers allow it

# As long as it takes that no text begins in the same way.
_BEGINNINGS = {
    rb"\x89PNG\r\n\x1a\n": "image/png",
    rb"\xff\xd8\xff": "image/jpeg",
    rb"GIF8[79]a": "image/gif",
    rb"RIFF.{4}WEBP": "image/webp",
    rb"BM.{4}\0{4}": "image/bmp",
    rb"RIFF.{4}WAVE": "audio/wav",
    rb"fLaC[\x00\x80]": "audio/flac",
    rb"OggS\0": "audio/ogg",
    rb"ID3[\x02-\x04]": "audio/mpeg",
    rb"\xff[\xfb\xfa\xf3\xf2\xe3\xe2]": "audio/mpeg",
    rb"\0.{3}ftyp": "video/mp4",
    rb"PK\x03\x04": "application/zip",
    rb"\x1f\x8b\x08": "application/gzip",
}
_PATTERNS = tuple(
    (re.compile(beginning, re.DOTALL), name) for beginning, name in _BEGINNINGS.items()
)


def media_type_of(data: bytes) -> str:
    """The media type that the first bytes show; empty when they show none, as those of texts."""
    for beginning, media_type in _PATTERNS:
        if beginning.match(data):
            return media_type
    return PDF if _PDF_MARK in data[:_PDF_WITHIN] else ""
