"""What a document is: by its own bytes first, then by what its sender says."""

from __future__ import annotations

import mimetypes
import re
from enum import Enum
from pathlib import PurePosixPath

from localai.domain.media_types import PDF, media_type_of

_LONGEST_NAME = 255
_UNKNOWN = "application/octet-stream"
_HTML_TYPES = frozenset({"text/html", "application/xhtml+xml"})
_HTML = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<!--.*?-->\s*)?<(?:!doctype\s+html|html)\b", re.IGNORECASE | re.DOTALL
)
_NO_NAME = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


class Kind(Enum):
    """How a document is read."""

    PDF = "pdf"
    HTML = "html"
    TEXT = "text"
    MEDIA = "media"
    OTHER = "other"


def kind_of(head: bytes, media_type: str) -> Kind:
    """How to read what begins with `head` and is said to be of `media_type`, perhaps empty."""
    found = media_type_of(head)
    if found == PDF:
        return Kind.PDF
    if found.startswith(("image/", "audio/")):
        return Kind.MEDIA
    if found:
        return Kind.OTHER
    if _HTML.match(head) or media_type in _HTML_TYPES:
        return Kind.HTML
    return Kind.TEXT


def media_type_of_file(head: bytes, name: str, declared: str) -> str:
    """The media type of a file: what its bytes show, else what its sender or its name says."""
    if found := media_type_of(head):
        return found
    if re.fullmatch(r"[\w.+-]+/[\w.+-]+", declared, re.ASCII) and declared.lower() != _UNKNOWN:
        return declared.lower()
    return mimetypes.guess_type(PurePosixPath(name).name)[0] or _UNKNOWN


def filename_of(given: str, media_type: str) -> str:
    """The last part of the name that a sender gave, or a name that says there was none."""
    name = _NO_NAME.sub("", re.split(r"[/\\]", given)[-1]).strip()
    if not name.strip("."):
        return "unnamed" + (mimetypes.guess_extension(media_type) or "")
    return name[-_LONGEST_NAME:]
