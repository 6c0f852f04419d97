"""Content blocks as domain parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from localai.dialects.anthropic.requests import (
    Base64Source,
    ContentSource,
    DocumentBlock,
    FileSource,
    ImageBlock,
    SearchResultBlock,
    ShownBlock,
    TextBlock,
    TextSource,
    ToolResultBlock,
    UrlSource,
)
from localai.dialects.media import (
    PendingDocument,
    document_at,
    framed,
    media_from,
    stored_media,
)
from localai.domain.errors import InvalidRequest
from localai.domain.parts import Media, MediaKind, Part, Text, ToolResult


def shown(block: ShownBlock, path: str) -> tuple[Part, ...]:
    """What a block shows the model. Raises RequestError whose `param` is inside `path`."""
    match block:
        case TextBlock():
            return (Text(text=block.text),)
        case ImageBlock():
            return (_image(block, f"{path}.source"),)
        case DocumentBlock():
            return _document(block, f"{path}.source")
        case SearchResultBlock():
            parts = _all_shown(block.content, f"{path}.content")
            return framed("search_result", parts, title=block.title, source=block.source)
        case _:
            assert_never(block)


def tool_result(block: ToolResultBlock, path: str) -> tuple[ToolResult | Media, ...]:
    """A tool's answer: its texts as one, then its images."""
    if not block.tool_use_id:
        raise InvalidRequest(f"{path}.tool_use_id is empty.", param=f"{path}.tool_use_id")
    parts = _all_shown(block.content or "", f"{path}.content")
    text = "".join(part.text for part in parts if isinstance(part, Text))
    images = (part for part in parts if isinstance(part, Media))
    is_error = bool(block.is_error)
    return (ToolResult(call_id=block.tool_use_id, text=text, is_error=is_error), *images)


def _all_shown(content: str | Sequence[ShownBlock], path: str) -> tuple[Part, ...]:
    if isinstance(content, str):
        return (Text(text=content),) if content else ()
    parts = (shown(block, f"{path}[{i}]") for i, block in enumerate(content))
    return tuple(part for several in parts for part in several)


def _image(block: ImageBlock, path: str) -> Media:
    source = block.source
    match source:
        case Base64Source():
            return _media(source, path)
        case UrlSource():
            return media_from(source.url, MediaKind.IMAGE, f"{path}.url")
        case FileSource():
            return stored_media(source.file_id, MediaKind.IMAGE, f"{path}.file_id")
        case _:
            assert_never(source)


def _media(source: Base64Source, path: str) -> Media:
    if not source.media_type.startswith("image/"):
        param = f"{path}.media_type"
        message = f"{param} is {source.media_type[:40]!r}; it must be an image's: image/png."
        raise InvalidRequest(message, param=param)
    if not source.data:
        raise InvalidRequest(f"{path}.data is empty.", param=f"{path}.data")
    return Media(kind=MediaKind.IMAGE, media_type=source.media_type, data=source.data)


def _document(block: DocumentBlock, path: str) -> tuple[Part, ...]:
    source, title, context = block.source, block.title or "", block.context or ""
    match source:
        case TextSource():
            parts: tuple[Part, ...] = (Text(text=source.data),)
        case ContentSource():
            parts = _all_shown(source.content, f"{path}.content")
        case UrlSource():
            return (document_at(source.url, f"{path}.url", title=title, context=context),)
        case FileSource():
            place = f"{path}.file_id"
            return (
                PendingDocument(path=place, file_id=source.file_id, title=title, context=context),
            )
        case Base64Source():
            return (
                PendingDocument(
                    path=f"{path}.data", data=source.data, media_type=source.media_type,
                    title=title, context=context,
                ),
            )  # fmt: skip
        case _:
            assert_never(source)
    return framed("document", parts, title=title, context=context)
