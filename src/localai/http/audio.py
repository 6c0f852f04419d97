"""Every endpoint with sound: files in, sound or events out."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from starlette.datastructures import QueryParams
from starlette.responses import Response

from localai.domain.audio import (
    AudioData,
    AudioEnded,
    AudioStarted,
    DetectionEnded,
    SynthesisRequest,
    TranscriptEnded,
)
from localai.domain.batches import Batches, at_once
from localai.domain.errors import LocalAIError
from localai.domain.events import Failed, Progress
from localai.domain.tasks import audio_task
from localai.http.body import MEGABYTE, HungUp, read_body, until_hung_up
from localai.http.framing import SSE
from localai.http.gate import bearer, headers_of
from localai.http.generation import KeptAlive
from localai.http.origin import model_beside_the_body, origin_of
from localai.http.uploads import received
from localai.inference.audio import hear_or_speak
from localai.observe.log import logger

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

    from starlette.types import Receive, Scope, Send

    from localai.catalog.spec import ModelSpec
    from localai.dialects.contract import (
        AudioCall,
        ErrorReply,
        HearingCall,
        HearingEndpoint,
        SpeakingEndpoint,
    )
    from localai.dialects.native import VadEndpoint
    from localai.domain.audio import AudioEvent, AudioSource
    from localai.domain.batches import Take
    from localai.http.services import Services

_log = logger(__name__)
_JSON = "application/json"


class HearingRoute:
    """ASGI application of an endpoint that is given a file."""

    def __init__(self, endpoint: HearingEndpoint, services: Services) -> None:
        self._endpoint = endpoint
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take the file, decode the fields, answer. A client that hangs up ends it all."""
        services = self._services
        try:
            async with received(scope, receive, services.files) as (fields, file):
                call = self._endpoint.decode(fields, origin_of(scope))
                await until_hung_up(receive, self.answer(call, file, scope, receive, send))
        except HungUp:
            return
        except LocalAIError as error:
            await services.error_response(scope, error, self._endpoint.error)(scope, receive, send)

    async def answer(
        self, call: HearingCall, source: AudioSource, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Answer a decoded call about the file in `source`."""
        answer = await answer_of(self._services, self._endpoint.error, call, scope)
        async with aclosing(answer.events(source)) as batches:
            if call.streams:
                await answer.stream(batches, send)
            else:
                response = await answer.whole(batches, call)
                await response(scope, receive, send)


class VadRoute(HearingRoute):
    """Finding speech: in a file, or in samples that are JSON."""

    def __init__(self, endpoint: VadEndpoint, services: Services) -> None:
        super().__init__(endpoint, services)
        self._samples = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Decode, answer."""
        if headers_of(scope).get(b"content-type", b"").startswith(b"multipart/"):
            await super().__call__(scope, receive, send)
            return
        services = self._services
        try:
            limit_bytes = services.settings.upload_limit * MEGABYTE
            body = await read_body(scope, receive, limit_bytes=limit_bytes)
            call, file = self._samples.decode_samples(body, origin_of(scope))
            await until_hung_up(receive, self.answer(call, _InMemory(file), scope, receive, send))
        except HungUp:
            return
        except LocalAIError as error:
            await services.error_response(scope, error, self._samples.error)(scope, receive, send)


class SpeakingRoute:
    """ASGI application of an endpoint that speaks."""

    def __init__(self, endpoint: SpeakingEndpoint, services: Services) -> None:
        self._endpoint = endpoint
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Decode, speak. A client that hangs up ends it all."""
        services = self._services
        try:
            limit_bytes = services.settings.upload_limit * MEGABYTE
            body = await read_body(scope, receive, limit_bytes=limit_bytes)
            await until_hung_up(receive, self._answer(scope, send, body))
        except HungUp:
            return
        except LocalAIError as error:
            await services.error_response(scope, error, self._endpoint.error)(scope, receive, send)

    async def _answer(self, scope: Scope, send: Send, body: bytes) -> None:
        voice = scope["path_params"].get("voice_id", "")
        query = QueryParams(scope.get("query_string", b""))
        origin = origin_of(scope)
        call = self._endpoint.decode(body, origin, voice, query)
        answer = await answer_of(self._services, self._endpoint.error, call, scope)
        if call.streams:
            async with aclosing(answer.events(None)) as batches:
                await answer.stream(batches, send)
        else:
            await answer.sound(answer.events(None), send)


@dataclass(frozen=True, slots=True)
class _InMemory:
    """A file that came in the request itself."""

    data: bytes

    @property
    def size_bytes(self) -> int:
        return len(self.data)

    async def read(self) -> AsyncGenerator[bytes, None]:
        yield self.data


async def answer_of(
    services: Services,
    spell_error: Callable[[LocalAIError], ErrorReply],
    call: AudioCall,
    scope: Scope,
) -> AudioAnswer:
    """Find the model of a call. Raises ModelNotFound, ModelDisabled, Unsupported."""
    origin = origin_of(scope)
    request = call.request
    named = call.model or model_beside_the_body(scope)
    if not named and isinstance(request, SynthesisRequest):
        catalog = services.library.catalog()
        if request.voice in catalog.specs or request.voice in catalog.file_names:
            named, request = request.voice or "", replace(request, voice=None)
    await services.autoload.ensure(named)
    task = audio_task(request)
    if not named and call.backend:
        spec = services.library.find_on(call.backend, task)
    else:
        spec = services.library.find(named, hint=bearer(scope), task=task)
    services.library.require(spec, task)
    return AudioAnswer(
        services=services, spell_error=spell_error, scope=scope, call=call, request=request,
        spec=spec, answer_id=origin.answer_id, client=origin.client,
    )  # fmt: skip


@dataclass(slots=True, kw_only=True)
class AudioAnswer:
    """One answer on its way out, and the counters that go with it."""

    services: Services
    spell_error: Callable[[LocalAIError], ErrorReply]
    scope: Scope
    call: AudioCall
    request: Any
    spec: ModelSpec
    answer_id: str
    client: str

    def events(self, source: AudioSource | None) -> Batches[AudioEvent]:
        """The checked events."""
        services = self.services
        answer = hear_or_speak(
            self.request, self.spec, library=services.library, pool=services.pool,
            source=source, client=self.client,
        )  # fmt: skip

        async def deliver(take: Take[AudioEvent]) -> None:
            def counted(batch: Sequence[AudioEvent]) -> Awaitable[None] | None:
                self._observe(batch[-1])
                return take(batch)

            await answer.into(counted)

        return Batches(deliver)

    async def whole(self, batches: Batches[AudioEvent], call: HearingCall) -> Response:
        """The whole answer as one response."""
        events = [
            event async for batch in batches for event in batch if not isinstance(event, Progress)
        ]
        if isinstance(events[-1], Failed):
            return self.services.error_response(self.scope, events[-1].error, self.spell_error)
        answer = call.encode(events)
        headers = {"X-Correlation-ID": self.answer_id}
        return Response(answer.body, media_type=answer.media_type, headers=headers)

    async def stream(self, batches: Batches[AudioEvent], send: Send) -> None:
        """The events as frames; an error before the first of them has a status of its own."""
        encoder = self.call.stream_encoder()

        async def begin(send: Send) -> None:
            await self._begin(send, SSE.content_type)

        async with KeptAlive(begin, send, SSE.keep_alive) as signs:
            async for batch in batches:
                if not signs.has_started:
                    telling = next((one for one in batch if not isinstance(one, Progress)), None)
                    if telling is None:
                        continue
                    if isinstance(telling, Failed):
                        await self._refuse(telling, send)
                        return
                    await signs.start()
                frames = [frame for event in batch for frame in encoder.feed(event)]
                if frames:
                    await _send(send, SSE.join(frames))
                    signs.sent()
                if isinstance(batch[-1], Failed):
                    self._count(batch[-1])
        await _send(send, b"", more=False)

    async def sound(self, batches: Batches[AudioEvent], send: Send) -> None:
        """Bare sound, as it is made. One that cannot go on is cut off, so that nobody takes it for whole."""
        has_begun = False

        async def spoken(batch: Sequence[AudioEvent]) -> None:
            nonlocal has_begun
            for event in batch:
                match event:
                    case AudioStarted():
                        await self._begin(send, event.media_type.encode())
                        has_begun = True
                    case AudioData():
                        await _send(send, event.data)
                    case AudioEnded():
                        await _send(send, b"", more=False)
                    case Failed() if not has_begun:
                        await self._refuse(event, send)
                    case Failed():
                        self._count(event)
                        _log.warning("%s is cut off: %s", self.scope["path"], event.error.sentence)
                    case _:
                        pass

        await batches.into(lambda batch: at_once(spoken(batch)))

    async def _begin(self, send: Send, content_type: bytes) -> None:
        headers = [
            (b"content-type", content_type),
            (b"cache-control", b"no-cache"),
            (b"x-accel-buffering", b"no"),
            (b"x-correlation-id", self.answer_id.encode()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})

    async def _refuse(self, failed: Failed, send: Send) -> None:
        response = self.services.error_response(self.scope, failed.error, self.spell_error)
        await response(self.scope, _never, send)

    def _count(self, failed: Failed) -> None:
        self.services.metrics.failures.labels(failed.error.kind).inc()

    def _observe(self, event: AudioEvent) -> None:
        if isinstance(event, TranscriptEnded | AudioEnded | DetectionEnded):
            task = audio_task(self.request).value
            seconds = self.services.metrics.audio_seconds.labels(self.spec.name, task)
            seconds.inc(event.duration_s)


async def _send(send: Send, body: bytes, *, more: bool = True) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": more})


async def _never() -> Any:
    """A `receive` for responses that do not read."""
    raise RuntimeError
