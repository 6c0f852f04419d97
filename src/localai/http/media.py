"""Puts in place what a request only names: addresses, uploaded files, and documents as text."""

from __future__ import annotations

import asyncio
import io
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import unquote, urlsplit

from localai.dialects.media import PendingDocument, PendingMedia, checked_media, framed
from localai.documents import Kind, Pages, kind_of, media_type_of_file
from localai.domain.errors import DocumentUnreadable, InvalidRequest, LocalAIError
from localai.domain.generation import Chat, GenerationRequest
from localai.domain.media_types import PDF, media_type_of
from localai.domain.parts import Media, MediaKind, Part, Text

if TYPE_CHECKING:
    from localai.catalog.spec import ModelSpec
    from localai.http.services import Services

_MOST_NAMED = 32
_MOST_MEDIA_BYTES = 20_000_000  # of an image or sound, which is in memory as a whole
_HEAD_BYTES = 1024
_TOKEN_CHARACTERS = 16  # a text of more than so many for each token of context cannot fit in it
_CONTEXT_UNKNOWN = 131_072
_DOCUMENT_KINDS = ("application", "text", "image", "audio")


@dataclass(frozen=True, slots=True)
class _Found:
    """What a part named: its bytes, its name where it has one, and what it is said to be."""

    file: BinaryIO
    name: str = ""
    media_type: str = ""


async def with_media(
    request: GenerationRequest, services: Services, spec: ModelSpec, owner: str
) -> GenerationRequest:
    """`request` with everything in it that was only named.

    `owner` is whose uploaded files are meant, `spec` the model that is to answer. Raises
    FetchFailed, NotStored, DocumentUnreadable and InvalidRequest with the `param` of the part.
    """
    prompt = request.prompt
    if not isinstance(prompt, Chat):
        return request
    wanted = [
        part
        for message in prompt.messages
        for part in message.parts
        if isinstance(part, PendingMedia)
    ]
    if not wanted:
        return request
    if len(wanted) > _MOST_NAMED:
        message = (
            f"The request names {len(wanted)} addresses and files; at most {_MOST_NAMED} are taken."
        )
        raise InvalidRequest(message, param=wanted[_MOST_NAMED].path)
    if any(isinstance(part, PendingDocument) for part in wanted):
        spec = await services.library.prepare(spec, backend=request.backend)
    finder = _Finder(services, spec, owner)
    async with asyncio.TaskGroup() as group:
        tasks = {id(part): group.create_task(finder.found(part)) for part in wanted}
    found: dict[int, tuple[Part, ...]] = {}
    for part in wanted:
        result = tasks[id(part)].result()
        if isinstance(result, LocalAIError):
            raise result
        found[id(part)] = result
    messages = tuple(
        replace(
            message,
            parts=tuple(new for part in message.parts for new in found.get(id(part), (part,))),
        )
        for message in prompt.messages
    )
    return replace(request, prompt=Chat(messages=messages))


class _Finder:
    """Finds what the parts of one request name."""

    def __init__(self, services: Services, spec: ModelSpec, owner: str) -> None:
        self._services = services
        self._owner = owner
        context_size = int(spec.settings.get("context_size") or _CONTEXT_UNKNOWN)
        self._most_characters = context_size * _TOKEN_CHARACTERS
        self._sees_images = bool(spec.settings.get("mmproj"))

    async def found(self, part: PendingMedia) -> tuple[Part, ...] | LocalAIError:
        """What to put in place, or the error as a value: one shall not hide in a group of others."""
        try:
            if isinstance(part, PendingDocument):
                return await self._document(part)
            return (await self._media(part),)
        except LocalAIError as error:
            if error.fields.get("param") is None:
                error.fields["param"] = part.path
            return error

    async def _media(self, part: PendingMedia) -> Media:
        found = await self._content(part, kinds=(part.kind.value,))
        with closing(found.file) as file:
            data = await _whole(file, part.path)
        return checked_media(data, part.kind, part.path, declared=found.media_type)

    async def _document(self, part: PendingDocument) -> tuple[Part, ...]:
        found = await self._content(part, kinds=_DOCUMENT_KINDS)
        with closing(found.file) as file:
            head = await asyncio.to_thread(file.read, _HEAD_BYTES)
            title = part.title or found.name
            declared = (part.media_type or found.media_type).lower()
            declared = media_type_of_file(b"", title, declared)
            kind = kind_of(head, declared)
            name = f"The document {title[:80]!r}" if title else part.path
            if kind is Kind.MEDIA:
                await asyncio.to_thread(file.seek, 0)
                return (_as_media(await _whole(file, part.path), part.path),)
            if declared == PDF and kind is not Kind.PDF:
                raise DocumentUnreadable(name, "is said to be a PDF, and does not begin like one")
            if kind is Kind.OTHER:
                what = f"is of the type {media_type_of(head)}, which cannot be read"
                hint = "PDF, HTML and text are read; save it as one of them."
                raise DocumentUnreadable(name, what, hint=hint)
            read = await self._services.documents.read(
                file, kind, name,
                most_characters=self._most_characters, sees_images=self._sees_images,
            )  # fmt: skip
        return framed("document", _shown(read), title=title, context=part.context)

    async def _content(self, part: PendingMedia, *, kinds: tuple[str, ...]) -> _Found:
        if part.file_id:
            stored, file = await self._services.files.open(
                part.file_id, self._owner, param=part.path
            )
            return _Found(file, stored.filename, stored.media_type)
        if part.address:
            fetched = await self._services.fetcher.fetch(part.address, kinds=kinds)
            name = PurePosixPath(unquote(urlsplit(part.address).path)).name
            return _Found(io.BytesIO(fetched.data), name, fetched.media_type)
        return _Found(io.BytesIO(part.data))


async def _whole(file: BinaryIO, path: str) -> bytes:
    """All of an image or sound. Raises InvalidRequest when it is too large."""
    data = await asyncio.to_thread(file.read, _MOST_MEDIA_BYTES + 1)
    if len(data) > _MOST_MEDIA_BYTES:
        limit = f"{_MOST_MEDIA_BYTES / 1e6:g} MB"
        message = f"{path} names an image or sound of more than {limit}, which is the limit."
        raise InvalidRequest(message, param=path)
    return data


def _as_media(data: bytes, path: str) -> Media:
    """An image or sound that came where a document may stand as well."""
    return checked_media(data, MediaKind(media_type_of(data).partition("/")[0]), path)


def _shown(read: str | Pages) -> tuple[Part, ...]:
    if isinstance(read, str):
        return (Text(text=read),)
    return tuple(
        Media(kind=MediaKind.IMAGE, media_type="image/png", data=image) for image in read.images
    )
