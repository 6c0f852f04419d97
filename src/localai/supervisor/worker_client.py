"""The server's side of the worker protocol: one client per worker."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from localai.domain.batches import Batches
from localai.domain.errors import StartFailed, StreamRuleBroken
from localai.domain.tasks import audio_task
from localai.wire import codec
from localai.wire.audio import decode_audio_event, encode_audio_request
from localai.wire.http_client import Answer, CutShort, HttpClient, NotHttp, NotReached
from localai.wire.incoming import TakeBytes
from localai.wire.messages import Health, ModelFacts, WireError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from localai.domain.audio import AudioEvent, AudioRequest, AudioSource
    from localai.domain.batches import Take
    from localai.domain.events import Event
    from localai.domain.generation import GenerationRequest
    from localai.domain.tasks import Task
    from localai.supervisor.launcher import Endpoint
    from localai.wire.messages import LoadRequest

_CONNECT_RETRY_S = 0.01
_OK = 200
_SHOWN_BYTES = 200
Shape = TypeVar("Shape")
Item = TypeVar("Item")


class WorkerClient:
    """Speaks to one worker over its Unix socket, or TCP with a token."""

    def __init__(self, endpoint: Endpoint) -> None:
        address = f"unix:{endpoint.socket}" if endpoint.socket else endpoint.url
        self._http = HttpClient(address, token=endpoint.token, reopens=True)

    async def close(self) -> None:
        """Close all connections; running calls end."""
        await self._http.close()

    async def load(self, order: LoadRequest) -> ModelFacts:
        """Load the model; waits for the worker to listen first. Raises the worker's own error."""
        await self._wait_until_it_listens()
        async with await self._http.post("/load", codec.encode(order)) as answer:
            body = await answer.whole()
        if answer.status != _OK:
            raise codec.error_from_wire(_read(body, WireError))
        return _read(body, ModelFacts)

    async def health(self, *, timeout_s: float) -> Health:
        """The worker's state. Raises TimeoutError when it does not answer in time."""
        async with asyncio.timeout(timeout_s), await self._http.get("/health") as answer:
            return _read(await answer.whole(), Health)

    def generate(self, request: GenerationRequest) -> Batches[Event]:
        """The worker's events, in the batches they arrive in. Ending early hangs up.

        Raises NotReached, CutShort when the worker is gone, StreamRuleBroken.
        """

        async def deliver(take: Take[Event]) -> None:
            body = codec.encode(codec.request_to_wire(request))
            read = _reader(codec.decode_event, take)
            await _follow(self._http.post("/generate", body), read)

        return Batches(deliver)

    def audio(
        self, request: AudioRequest, source: AudioSource | None = None
    ) -> Batches[AudioEvent]:
        """Do with a task with sound what `generate` does; `source` is its file, where it has one."""

        async def deliver(take: Take[AudioEvent]) -> None:
            path = f"/audio/{audio_task(request).value}"
            read = _reader(decode_audio_event, take)
            if source is None:
                asked = self._http.post(path, encode_audio_request(request))
            else:
                asked = self._http.post_pieces(path, _audio_body(request, source))
            await _follow(asked, read)

        return Batches(deliver)

    async def call(self, task: Task, request: object) -> Any:
        """The result of a one-shot task. Raises the worker's own error, NotReached, CutShort."""
        body = codec.encode_task_request(request)
        async with await self._http.post(f"/task/{task.value}", body) as answer:
            data = await answer.whole()
        if answer.status != _OK:
            raise codec.error_from_wire(_read(data, WireError))
        return codec.decode_task_result(task, data)

    async def _wait_until_it_listens(self) -> None:
        while True:
            try:
                await self.health(timeout_s=10.0)
            except (NotReached, CutShort, TimeoutError):
                await asyncio.sleep(_CONNECT_RETRY_S)
            else:
                return


def _reader(decode: Callable[[bytes], Item], take: Take[Item]) -> TakeBytes:
    """What hands the events of an answer to `take`. Raises StreamRuleBroken for anything else."""
    rest = b""

    def read(piece: bytes) -> Awaitable[None] | None:
        nonlocal rest
        *lines, rest = (rest + piece).split(b"\n")
        if not lines:
            return None
        try:
            events = [decode(line) for line in lines]
        except (msgspec.DecodeError, KeyError, ValueError) as error:
            raise _no_event(error) from error
        return take(events)

    return read


async def _follow(asked: Awaitable[Answer], read: TakeBytes) -> None:
    """Let `read` have an answer. Raises StreamRuleBroken for one that is no stream of events."""
    try:
        async with await asked as answer:
            await _check_status(answer)
            await answer.follow(read)
    except NotHttp as error:
        raise _no_event(error) from error


def _no_event(error: Exception) -> StreamRuleBroken:
    return StreamRuleBroken(f"The worker sent something that is not an event: {error}")


async def _check_status(answer: Answer) -> None:
    """Raise StreamRuleBroken for an answer that is no stream of events."""
    if answer.status != _OK:
        shown = (await answer.whole())[:_SHOWN_BYTES].decode(errors="replace")
        message = f"The worker answered with status {answer.status}: {shown.strip()}"
        raise StreamRuleBroken(message)


async def _audio_body(request: AudioRequest, source: AudioSource) -> AsyncIterator[bytes]:
    yield encode_audio_request(request)
    async for piece in source.read():
        yield piece


def _read(body: bytes, shape: type[Shape]) -> Shape:
    try:
        return msgspec.json.decode(body, type=shape)
    except msgspec.DecodeError as error:
        text = body[:_SHOWN_BYTES].decode(errors="replace")
        message = f"The worker answered something that is not {shape.__name__}: {text!r}"
        raise StartFailed(message) from error
