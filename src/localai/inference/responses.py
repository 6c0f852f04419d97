"""Responses that are remembered: going on from them, keeping them, showing them again.

How a response is spelled is the dialect's: calls and `Spelling` are handed in, and what is kept is
bytes. `responses_jobs` has those that are generated in the background.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from localai.domain.batches import Batches, Take, taken
from localai.domain.errors import InvalidRequest, LocalAIError
from localai.domain.events import Event, Finished
from localai.domain.stream_rules import Fold
from localai.inference.responses_calls import Generate, ResponsesCall, Spelling
from localai.inference.responses_jobs import Jobs, Limits
from localai.observe.log import logger
from localai.state import (
    EventsDropped,
    NotStored,
    Page,
    PageQuery,
    ResponseStore,
    StoredResponse,
)

if TYPE_CHECKING:
    from localai.catalog.spec import ModelSpec

_log = logger(__name__)
_PAGE_OF_EVENTS = 256
_LOOK_S = 0.5  # between two looks at what another server writes

Call = TypeVar("Call", bound=ResponsesCall)
Frames = Sequence[tuple[bytes, str]]


class Responses:
    """The use cases. `owner` is who asks: what belongs to another is not there."""

    def __init__(
        self,
        store: ResponseStore,
        generate: Generate,
        spelling: Spelling,
        *,
        limits: Limits | None = None,
        observe: Callable[[str, Sequence[Event]], None] | None = None,
    ) -> None:
        self._store = store
        self._generate = generate
        self._spelling = spelling
        self._jobs = Jobs(store, generate, spelling, limits or Limits(), observe)

    async def recover(self) -> int:
        """Mark as failed what servers left running when they died; gives how many there were."""
        return await self._jobs.recover()

    async def expand(self, call: Call, owner: str) -> Call:
        """`call` with everything it goes on from: earlier turns, conversation, referenced items.

        Raises NotStored with the `param` that names what is not there.
        """
        if not (call.previous_response_id or call.conversation_id or call.references):
            return call
        history: tuple[bytes, ...] = ()
        if call.previous_response_id:
            history = await self._before(call.previous_response_id, owner)
        elif call.conversation_id:
            with _named("conversation"):
                history = await self._store.conversation_history(call.conversation_id, owner)
        wanted = [reference.item_id for reference in call.references]
        found = await self._store.find_items(wanted, owner) if wanted else {}
        for reference in call.references:
            if reference.item_id not in found:
                raise NotStored("item", reference.item_id, param=reference.param)
        return call.after(history, found)

    def answer(
        self, call: ResponsesCall, spec: ModelSpec, *, model: str, owner: str
    ) -> Batches[Event]:
        """Answer an expanded call as a legal stream; it is kept before its last event is given.

        `model` is the name to show. An answer that fails or is given up is not kept.
        """
        request = replace(call.requests[0], model=spec.name)
        answer = self._generate(request, spec)
        if not call.store and call.conversation_id is None:
            return answer
        folding = Fold()

        async def deliver(take: Take[Event]) -> None:
            async def keep_and_end(batch: Sequence[Event]) -> None:
                body = call.whole_encoder(model).encode(folding.answer)
                await self._keep(call, body, owner)
                await taken(take, batch)

            def fold(batch: Sequence[Event]) -> Awaitable[None] | None:
                for event in batch:
                    folding.feed(event)
                return keep_and_end(batch) if isinstance(batch[-1], Finished) else take(batch)

            await answer.into(fold)

        return Batches(deliver)

    async def start(self, call: ResponsesCall, spec: ModelSpec, *, model: str, owner: str) -> bytes:
        """Begin to answer an expanded call in the background; gives the queued response.

        Raises QueueFull when too many are running.
        """
        return await self._jobs.start(call, spec, model=model, owner=owner)

    async def get(self, response_id: str, owner: str) -> bytes:
        """A kept response as it is now. Raises NotStored."""
        return (await self._store.get(response_id, owner)).response

    async def follow(
        self, response_id: str, owner: str, starting_after: int | None = None
    ) -> AsyncGenerator[Frames, None]:
        """The events of a background response after that number, then those that come.

        Raises NotStored, EventsDropped, and InvalidRequest when its events are not kept.
        """
        row = await self._store.get(response_id, owner)
        if not row.streams:
            message = f"The events of the response {response_id!r} are not kept."
            hint = "Create it with background and stream."
            raise InvalidRequest(message, param="stream", hint=hint)
        after = max(-1 if starting_after is None else starting_after, -1)
        await self._events(response_id, after)  # its errors come before the first byte
        return self._follow(response_id, after)

    async def cancel(self, response_id: str, owner: str) -> bytes:
        """Stop a background response; gives it as it is then. One that has ended stays as it is.

        Raises NotStored, and InvalidRequest when another server works on it.
        """
        await self._store.get(response_id, owner)
        if await self._store.runs_elsewhere(response_id):
            message = f"The response {response_id!r} is made by another server on this data folder."
            raise InvalidRequest(message, param="response_id", hint="Cancel it there.")
        await self._jobs.cancel(response_id)
        return await self.get(response_id, owner)

    async def delete(self, response_id: str, owner: str) -> None:
        """Forget a response; one that is running is stopped. Raises NotStored."""
        await self._store.get(response_id, owner)
        await self._jobs.cancel(response_id)
        await self._store.delete(response_id, owner)

    async def input_items(self, response_id: str, owner: str, query: PageQuery) -> Page:
        """A page of what a response was given itself, without the turns before it."""
        return await self._store.input_items(response_id, owner, query)

    async def close(self) -> None:
        """End what is running as failed, and close the store."""
        await self._jobs.close()
        await self._store.close()

    async def _before(self, response_id: str, owner: str) -> tuple[bytes, ...]:
        with _named("previous_response_id"):
            row = await self._store.get(response_id, owner)
            if row.is_running:
                message = f"The response {response_id!r} has not ended yet."
                hint = "Wait until its status says so."
                raise InvalidRequest(message, param="previous_response_id", hint=hint)
            return await self._store.history(response_id, owner)

    async def _keep(self, call: ResponsesCall, body: bytes, owner: str) -> None:
        status, said = self._spelling.status_and_output(body)
        try:
            if call.store:
                row = StoredResponse(
                    response_id=call.response_id, created_unix_s=call.created_unix_s,
                    status=status, owner=owner, response=body,
                    previous_id=call.previous_response_id, conversation_id=call.conversation_id,
                )  # fmt: skip
                await self._store.add(row, call.input_items, said)
            elif call.conversation_id is not None:
                items = [*call.input_items, *said]
                await self._store.add_items(call.conversation_id, owner, items)
        except LocalAIError as error:  # the answer itself is fine, so the client gets it
            _log.error("the response %s was not stored: %s", call.response_id, error.sentence)

    async def _events(self, response_id: str, after: int) -> Sequence[tuple[int, bytes, str]]:
        events = await self._store.events(response_id, after, _PAGE_OF_EVENTS)
        if events and events[0][0] > after + 1:
            raise EventsDropped(first=events[0][0])
        return events

    async def _follow(self, response_id: str, after: int) -> AsyncGenerator[Frames, None]:
        while True:
            more = self._jobs.more(response_id)  # taken first, so that nothing is missed
            is_elsewhere = more is None and await self._store.runs_elsewhere(response_id)
            events = await self._events(response_id, after)
            if events:
                after = events[-1][0]
                yield [(data, name) for _, data, name in events]
            elif more is not None:
                await more.wait()
            elif is_elsewhere:
                await asyncio.sleep(_LOOK_S)
            else:
                return


@contextmanager
def _named(param: str) -> Iterator[None]:
    """Say in the error of what is not there which field asked for it."""
    try:
        yield
    except NotStored as error:
        error.fields["param"] = param
        raise
