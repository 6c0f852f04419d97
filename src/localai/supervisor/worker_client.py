"""The server's side of the worker protocol: one client per worker."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

import aiohttp
import msgspec

from localai.domain.errors import StartFailed, StreamRuleBroken
from localai.domain.tasks import audio_task
from localai.wire import codec
from localai.wire.audio import decode_audio_event, encode_audio_request
from localai.wire.messages import Health, ModelFacts, WireError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Sequence

    from localai.domain.audio import AudioEvent, AudioRequest, AudioSource
    from localai.domain.events import Event
    from localai.domain.generation import GenerationRequest
    from localai.domain.tasks import Task
    from localai.supervisor.launcher import Endpoint
    from localai.wire.messages import LoadRequest

_CONNECT_RETRY_S = 0.01
_READ_BUFFER_BYTES = 1 << 20
_OK = 200
Shape = TypeVar("Shape")


class WorkerClient:
    """Speaks to one worker over its Unix socket, or TCP with a token."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._base = endpoint.url or "http://worker"
        connector: aiohttp.BaseConnector
        if endpoint.socket:
            connector = aiohttp.UnixConnector(endpoint.socket, limit=0)
        else:
            connector = aiohttp.TCPConnector(limit=0)
        headers = {"Authorization": f"Bearer {endpoint.token}"} if endpoint.token else {}
        self._session = aiohttp.ClientSession(
            connector=connector,
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=10.0),
            read_bufsize=_READ_BUFFER_BYTES,
        )

    async def close(self) -> None:
        """Close all connections; running calls end."""
        await self._session.close()

    async def load(self, order: LoadRequest) -> ModelFacts:
        """Load the model; waits for the worker to listen first. Raises the worker's own error."""
        await self._wait_until_it_listens()
        async with self._session.post(f"{self._base}/load", data=codec.encode(order)) as response:
            body = await response.read()
        if response.status != _OK:
            raise codec.error_from_wire(_read(body, WireError))
        return _read(body, ModelFacts)

    async def health(self, *, timeout_s: float) -> Health:
        """The worker's state. Raises TimeoutError when it does not answer in time."""
        async with (
            asyncio.timeout(timeout_s),
            self._session.get(f"{self._base}/health") as response,
        ):
            return _read(await response.read(), Health)

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Sequence[Event], None]:
        """The worker's events, in the batches they arrive in. Closing the generator cancels.

        Raises aiohttp.ClientError or ConnectionError when the worker is gone.
        """
        body = codec.encode(codec.request_to_wire(request))
        response = await self._session.post(f"{self._base}/generate", data=body)
        decode = codec.decode_event
        rest = b""
        try:
            while data := await response.content.readany():
                *lines, rest = (rest + data).split(b"\n")
                if lines:
                    yield [decode(line) for line in lines]
        except (msgspec.DecodeError, KeyError, ValueError) as error:
            message = f"The worker sent something that is not an event: {error}"
            raise StreamRuleBroken(message) from error
        finally:
            response.close()  # at the end of an answer this does nothing, before it the worker stops

    async def audio(
        self, request: AudioRequest, source: AudioSource | None = None
    ) -> AsyncGenerator[Sequence[AudioEvent], None]:
        """The worker's events of a task with sound, in the batches they arrive in.

        Closing the generator cancels. Raises what `generate` raises.
        """
        body = _audio_body(request, source)
        response = await self._session.post(
            f"{self._base}/audio/{audio_task(request).value}", data=body
        )
        rest = b""
        try:
            while data := await response.content.readany():
                *lines, rest = (rest + data).split(b"\n")
                if lines:
                    yield [decode_audio_event(line) for line in lines]
        except (msgspec.DecodeError, KeyError, ValueError) as error:
            message = f"The worker sent something that is not an event: {error}"
            raise StreamRuleBroken(message) from error
        finally:
            response.close()

    async def call(self, task: Task, request: object) -> Any:
        """The result of a one-shot task. Raises the worker's own error, aiohttp.ClientError."""
        body = codec.encode_task_request(request)
        async with self._session.post(f"{self._base}/task/{task.value}", data=body) as response:
            data = await response.read()
        if response.status != _OK:
            raise codec.error_from_wire(_read(data, WireError))
        return codec.decode_task_result(task, data)

    async def _wait_until_it_listens(self) -> None:
        while True:
            try:
                await self.health(timeout_s=10.0)
            except (aiohttp.ClientConnectionError, FileNotFoundError, TimeoutError):
                await asyncio.sleep(_CONNECT_RETRY_S)
            else:
                return


async def _audio_body(request: AudioRequest, source: AudioSource | None) -> AsyncIterator[bytes]:
    yield encode_audio_request(request)
    if source is not None:
        async for piece in source.read():
            yield piece


def _read(body: bytes, shape: type[Shape]) -> Shape:
    try:
        return msgspec.json.decode(body, type=shape)
    except msgspec.DecodeError as error:
        text = body[:200].decode(errors="replace")
        message = f"The worker answered something that is not {shape.__name__}: {text!r}"
        raise StartFailed(message) from error
