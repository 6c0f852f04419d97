"""Every endpoint that generates text, whatever its dialect: one path, streaming or not."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from starlette.responses import Response

from localai.domain.batches import at_once
from localai.domain.errors import LocalAIError
from localai.domain.events import Delta, Failed, Finished, Progress, Started
from localai.domain.stream_rules import Fold
from localai.http.body import MEGABYTE, HungUp, read_body, until_hung_up
from localai.http.framing import SSE, Framing
from localai.http.gate import bearer
from localai.http.media import with_media
from localai.http.origin import model_beside_the_body, origin_of, owner_of
from localai.inference.generate import generate_all

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from typing import Any, Self

    from starlette.types import Receive, Scope, Send

    from localai.catalog.spec import ModelSpec
    from localai.dialects.contract import Call, Endpoint, StreamEncoder
    from localai.domain.batches import Batches
    from localai.domain.events import Event
    from localai.http.services import Services

_KEEP_ALIVE_S = 10.0


class GenerationRoute:
    """ASGI application of one dialect endpoint."""

    def __init__(self, endpoint: Endpoint, services: Services, framing: Framing = SSE) -> None:
        self._endpoint = endpoint
        self._services = services
        self._framing = framing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Decode, generate, encode. A client that hangs up ends it all."""
        try:
            limit_bytes = self._services.settings.upload_limit * MEGABYTE
            body = await read_body(scope, receive, limit_bytes=limit_bytes)
            await until_hung_up(receive, self._answer(scope, receive, send, body))
        except HungUp:
            return
        except LocalAIError as error:
            await self._refuse(scope, receive, send, error)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, body: bytes) -> None:
        origin = origin_of(scope)
        call = self._endpoint.decode(body, origin)
        named = call.requests[0].model or model_beside_the_body(scope)
        await self._services.autoload.ensure(named)
        spec = self._services.library.find(named, hint=bearer(scope))
        scope["localai.answer_id"] = origin.answer_id
        await self.serve(call, spec, scope, receive, send)

    async def serve(
        self, call: Call, spec: ModelSpec, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Answer a decoded call with `spec`."""
        services = self._services
        named = call.requests[0].model or model_beside_the_body(scope)
        owner = owner_of(scope, services.settings)
        requests = [
            await with_media(
                request if request.model == spec.name else replace(request, model=spec.name),
                services,
                spec,
                owner,
            )
            for request in call.requests
        ]
        answer = AnswerOut(
            services=services,
            endpoint=self._endpoint,
            spec=spec,
            call=call,
            model=named or spec.name,
            answer_id=scope["localai.answer_id"],
            framing=self._framing,
        )
        batches = generate_all(requests, spec, library=services.library, pool=services.pool)
        if call.streams:
            await answer.stream(batches, scope, send)
        else:
            response = await answer.whole(batches, scope)
            await response(scope, receive, send)

    async def _refuse(
        self, scope: Scope, receive: Receive, send: Send, error: LocalAIError
    ) -> None:
        response = self._services.error_response(scope, error, self._endpoint.error)
        await response(scope, receive, send)


@dataclass(slots=True, kw_only=True)
class AnswerOut:
    """One answer on its way out, and the counters that go with it."""

    services: Services
    endpoint: Endpoint
    spec: ModelSpec
    call: Call
    model: str
    answer_id: str
    framing: Framing
    began_s: float = field(default_factory=time.monotonic)
    has_text: bool = False
    has_ended: bool = False

    async def whole(self, batches: Batches[Event], scope: Scope) -> Response:
        """The folded stream as one response."""
        folding = Fold()

        def fold(batch: Sequence[Event]) -> None:
            for event in batch:
                folding.feed(event)
            self._observe(batch)

        await batches.into(fold)
        answer = folding.answer
        if answer.error is not None:
            return self.services.error_response(scope, answer.error, self.endpoint.error)
        body = self.call.whole_encoder(self.model).encode(answer)
        headers = {"X-Correlation-ID": self.answer_id}
        return Response(body, media_type="application/json", headers=headers)

    async def stream(self, batches: Batches[Event], scope: Scope, send: Send) -> None:
        """The stream as frames; an error before the first of them has a status of its own."""
        encoder: StreamEncoder | None = None

        def make_encoder() -> StreamEncoder:
            nonlocal encoder
            encoder = encoder or self.call.stream_encoder(self.model)
            return encoder

        async with KeptAlive(self._start, send, self.framing.keep_alive) as signs:
            asyncio.get_running_loop().call_soon(make_encoder)  # while the engine works

            async def begin(batch: Sequence[Event]) -> None:
                if type(batch[0]) is not Started:
                    telling = next((e for e in batch if not isinstance(e, Progress)), None)
                    if telling is None:
                        return
                    if isinstance(telling, Failed):
                        await self._refuse(telling, scope, send)
                        return
                await signs.start()
                pending = self._send_batch(batch, encoder or make_encoder(), send)
                if pending is not None:
                    await pending

            def pass_on(batch: Sequence[Event]) -> Awaitable[None] | None:
                if not signs.has_started:
                    return at_once(begin(batch))
                signs.sent()
                return self._send_batch(batch, encoder or make_encoder(), send)

            await batches.into(pass_on)
        if not self.has_ended:
            await send({"type": "http.response.body", "body": b""})

    async def _refuse(self, failed: Failed, scope: Scope, send: Send) -> None:
        self.has_ended = True
        response = self.services.error_response(scope, failed.error, self.endpoint.error)
        await response(scope, _never, send)

    async def _start(self, send: Send) -> None:
        headers = [
            (b"content-type", self.framing.content_type),
            (b"cache-control", b"no-cache"),
            (b"x-accel-buffering", b"no"),
            (b"x-correlation-id", self.answer_id.encode()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})

    def _send_batch(
        self, batch: Sequence[Event], encoder: StreamEncoder, send: Send
    ) -> Awaitable[None] | None:
        """Send the frames of a batch; what it gives is to be awaited, and none where all is sent."""
        if len(batch) == 1:  # the token path, so no list is built
            frames = encoder.feed(batch[0])
        else:
            frames = [frame for event in batch for frame in encoder.feed(event)]
        last = batch[-1]
        self.has_ended = isinstance(last, Finished | Failed)
        pending = None
        if frames or self.has_ended:
            body, more = self.framing.join(frames), not self.has_ended
            pending = at_once(send({"type": "http.response.body", "body": body, "more_body": more}))
        if not self.has_text or not isinstance(last, Delta):  # counted after it is sent
            self._observe(batch)
        return pending

    def _observe(self, batch: Sequence[Event]) -> None:
        metrics, model = self.services.metrics, self.spec.name
        for event in batch:
            if isinstance(event, Delta):
                if not self.has_text:
                    self.has_text = True
                    metrics.first_token.labels(model).observe(time.monotonic() - self.began_s)
            elif isinstance(event, Finished):
                metrics.prompt_tokens.labels(model).inc(event.usage.prompt_tokens)
                metrics.cached_tokens.labels(model).inc(event.usage.cached_tokens)
                metrics.completion_tokens.labels(model).inc(event.usage.completion_tokens)
            elif isinstance(event, Failed) and self.call.streams:  # else `error_response` counts it
                metrics.failures.labels(event.error.kind).inc()


async def _never() -> Any:
    """A `receive` for responses that do not read."""
    await asyncio.Event().wait()


class KeptAlive:
    """Begins a response, and sends `sign` whenever its stream says nothing for a while.

    The first silence begins it; until then an error can have its own status. An empty sign is
    never sent. A timer costs less than a task for each answer.
    """

    def __init__(self, begin: Callable[[Send], Awaitable[None]], send: Send, sign: bytes) -> None:
        self._begin = begin
        self._send = send
        self._sign = sign
        self._loop = asyncio.get_running_loop()
        self._last_s = self._loop.time()
        self._timer: asyncio.Handle = self._loop.call_soon(self._arm)  # not before the first work
        self._telling: asyncio.Task[None] | None = None
        self.has_started = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._timer.cancel()
        if self._telling is not None:
            self._telling.cancel()

    async def start(self) -> None:
        """Send status and headers."""
        self.has_started = True
        await self._begin(self._send)

    def sent(self) -> None:
        """Something was sent now."""
        self._last_s = self._loop.time()

    def _arm(self) -> None:
        self._timer = self._loop.call_later(_KEEP_ALIVE_S, self._tick)

    def _tick(self) -> None:
        self._arm()
        if self._loop.time() - self._last_s >= _KEEP_ALIVE_S:
            self._telling = self._loop.create_task(self._tell())

    async def _tell(self) -> None:
        if not self.has_started:
            await self.start()
        elif self._sign:
            await self._send({"type": "http.response.body", "body": self._sign, "more_body": True})
