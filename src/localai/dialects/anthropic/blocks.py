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
from localai.dialects.media import media_from
from localai.domain.errors import InvalidRequest, Unsupported
from localai.domain.parts import Media, MediaKind, Text, ToolResult

Shown = Text | Media


def shown(block: ShownBlock, path: str) -> tuple[Shown, ...]:
    """What a block shows the model. Raises RequestError whose `param` is inside `path`."""
    match block:
        case TextBlock():
            return (Text(text=block.text),)
        case ImageBlock():
            return (_image(block, f"{path}.source"),)
        case DocumentBlock():
            heading = _lines(title=block.title, context=block.context)
            return _framed("document", heading, _document(block, f"{path}.source"))
        case SearchResultBlock():
            heading = _lines(title=block.title, source=block.source)
            return _framed("search_result", heading, _all_shown(block.content, f"{path}.content"))
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


def addressed_image(source: UrlSource | FileSource, path: str) -> Media:
    """The image at an address, which the door fetches; uploads are not kept by this version."""
    if isinstance(source, UrlSource):
        return media_from(source.url, MediaKind.IMAGE, f"{path}.url")
    message = f"{path} names an uploaded file, and this version keeps no files."
    hint = "Send the image itself, as a source of type base64, or its address."
    raise Unsupported(message, feature="image", param=path, hint=hint)


def _all_shown(content: str | Sequence[ShownBlock], path: str) -> tuple[Shown, ...]:
    if isinstance(content, str):
        return (Text(text=content),) if content else ()
    parts = (shown(block, f"{path}[{i}]") for i, block in enumerate(content))
    return tuple(part for several in parts for part in several)


def _image(block: ImageBlock, path: str) -> Media:
    source = block.source
    match source:
        case Base64Source():
            return _media(source, path)
        case UrlSource() | FileSource():
            return addressed_image(source, path)
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


def _document(block: DocumentBlock, path: str) -> tuple[Shown, ...]:
    source = block.source
    match source:
        case TextSource():
            return (Text(text=source.data),)
        case ContentSource():
            return _all_shown(source.content, f"{path}.content")
        case Base64Source():
            what = f"a document of type {source.media_type[:40]!r}, which cannot be read"
        case UrlSource():
            what = "an address, and documents are not fetched"
        case FileSource():
            what = "an uploaded file, and files are not kept"
        case _:
            assert_never(source)
    message = f"{path} is {what} by this version."
    hint = "Send the document's text, as a source of type text."
    raise Unsupported(message, feature="document", param=path, hint=hint)


def _framed(name: str, heading: str, parts: tuple[Shown, ...]) -> tuple[Shown, ...]:
    """Put `parts` between tags, which Anthropic's guide to prompts advises for documents."""
    return (Text(text=f"\n<{name}>\n{heading}"), *parts, Text(text=f"\n</{name}>\n"))


def _lines(**named: str | None) -> str:
    return "".join(f"<{name}>{text}</{name}>\n" for name, text in named.items() if text)
