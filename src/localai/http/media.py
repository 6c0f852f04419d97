"""Fetches what a request's addresses point to, before the request goes on."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from localai.dialects.media import AddressedMedia, checked_media
from localai.domain.errors import FetchFailed, InvalidRequest
from localai.domain.generation import Chat, GenerationRequest
from localai.domain.parts import Media, Part

if TYPE_CHECKING:
    from localai.outbound import Fetcher

_MOST_ADDRESSES = 32


async def with_media(request: GenerationRequest, fetcher: Fetcher) -> GenerationRequest:
    """`request` with every address replaced by its content. Raises FetchFailed, InvalidRequest."""
    prompt = request.prompt
    if not isinstance(prompt, Chat):
        return request
    wanted = [
        part
        for message in prompt.messages
        for part in message.parts
        if isinstance(part, AddressedMedia)
    ]
    if not wanted:
        return request
    if len(wanted) > _MOST_ADDRESSES:
        message = (
            f"The request names {len(wanted)} addresses; at most {_MOST_ADDRESSES} are fetched."
        )
        raise InvalidRequest(message, param=wanted[_MOST_ADDRESSES].path)
    async with asyncio.TaskGroup() as group:
        tasks = {id(part): group.create_task(_fetched(part, fetcher)) for part in wanted}
    found: dict[int, Part] = {}
    for part in wanted:
        result = tasks[id(part)].result()
        if isinstance(result, FetchFailed | InvalidRequest):
            raise result
        found[id(part)] = result
    messages = tuple(
        replace(message, parts=tuple(found.get(id(part), part) for part in message.parts))
        for message in prompt.messages
    )
    return replace(request, prompt=Chat(messages=messages))


async def _fetched(part: AddressedMedia, fetcher: Fetcher) -> Media | FetchFailed | InvalidRequest:
    """The content, or the error as a value: one failure shall not hide in a group of others."""
    try:
        got = await fetcher.fetch(part.address, kinds=(part.kind.value,))
        return checked_media(got.data, part.kind, part.path, declared=got.media_type)
    except FetchFailed as error:
        return FetchFailed(error.fields["address"], error.fields["why"], param=part.path)
    except InvalidRequest as error:
        return error
