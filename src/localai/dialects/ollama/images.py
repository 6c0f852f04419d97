"""Images, which this API sends as base64 texts without saying what they are."""

from __future__ import annotations

from localai.dialects.media import PendingMedia, media_from
from localai.domain.errors import InvalidRequest
from localai.domain.parts import Media, MediaKind


def images(texts: list[str] | None, path: str) -> tuple[Media, ...]:
    """Every image, in order. Raises InvalidRequest whose `param` is the image's path."""
    return tuple(_image(text, f"{path}[{i}]") for i, text in enumerate(texts or ()))


def _image(text: str, path: str) -> Media:
    packed = "".join(text.split())  # many programs write base64 in lines
    media = media_from(packed, MediaKind.IMAGE, path)
    if isinstance(media, PendingMedia):
        message = f"{path} is an address; this API takes the image itself, as base64."
        raise InvalidRequest(message, param=path)
    return media
