"""The worker's HTTP server: load once, serve calls, cancel, turn exceptions into domain errors.

This is the only place with socket, signal, thread and logging code, so that a backend has none.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import importlib
import importlib.util
import logging
import signal
import sys
from contextlib import aclosing
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from aiohttp import web

from localai.domain.errors import (
    EngineFailed,
    InvalidRequest,
    LocalAIError,
    StartFailed,
    Unsupported,
)
from localai.domain.events import Failed, Finished
from localai.domain.tasks import Task
from localai.wire import codec
from localai.wire.messages import GenerateCall, Health, LoadRequest
from localai.worker import audio_calls
from localai.worker.interfaces import PROTOCOLS, TextGenerator

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from localai.worker.interfaces import Backend

_log = logging.getLogger("localai.worker")
_JSON = "application/json"
_NDJSON = "application/x-ndjson"
_MAX_BODY_BYTES = 1 << 31  # the server has limited it already; media travel in the body
_SHUTDOWN_S = 2.0
_FAILED = 422
_FILE = "file:"  # before the path of a backend that is no module of this package

Result = TypeVar("Result")


async def in_thread(function: Callable[..., Result], *arguments: Any) -> Result:
    """Run a blocking engine call without blocking the worker."""
    return await asyncio.to_thread(function, *arguments)


class Worker:
    """One backend behind the worker protocol (`wire.messages`)."""

    def __init__(self, backend_class: type[Backend], *, token: str = "") -> None:
        self._backend_class = backend_class
        self._token = token
        self._backend: Any = None  # any Backend, asked for its tasks at run time
        self._model = ""
        self._is_ordered = False
        self._state = "starting"
        self._running = 0

    def application(self) -> web.Application:
        """The routes of the worker protocol."""
        application = web.Application(
            client_max_size=_MAX_BODY_BYTES, middlewares=[self._check_token]
        )
        application.router.add_get("/health", self._health)
        application.router.add_post("/load", self._load)
        application.router.add_post("/generate", self._generate)
        application.router.add_post("/task/{name}", self._task)
        application.router.add_post("/audio/{name}", self._audio)
        application.on_cleanup.append(self._close)
        return application

    @web.middleware
    async def _check_token(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if self._token and not hmac.compare_digest(
            given.encode(errors="surrogateescape"), self._token.encode()
        ):
            return web.Response(status=401, text="The worker's token is missing or wrong.\n")
        return await handler(request)

    async def _health(self, _request: web.Request) -> web.Response:
        health = Health(state=self._state, model=self._model, running=self._running)
        return web.Response(body=codec.encode(health), content_type=_JSON)

    async def _load(self, request: web.Request) -> web.Response:
        try:
            order = msgspec.json.decode(await request.read(), type=LoadRequest)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return _failed(InvalidRequest(f"This is no order to load a model: {error}"))
        if self._is_ordered:
            return _failed(StartFailed("This worker was told to load a model already."))
        self._is_ordered = True
        self._model = order.model
        try:
            self._backend = await self._backend_class.load(order)
        except LocalAIError as error:
            return self._load_failed(error)
        except Exception as error:
            _log.exception("loading failed")
            return self._load_failed(StartFailed(f"The engine failed to load the model: {error}"))
        self._state = "ready"
        return web.Response(body=codec.encode(self._backend.facts), content_type=_JSON)

    def _load_failed(self, error: LocalAIError) -> web.Response:
        self._state = "failed"
        return _failed(error)

    async def _generate(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        response = web.StreamResponse(headers={"Content-Type": _NDJSON})
        await response.prepare(request)
        self._running += 1
        try:
            async with aclosing(self._answer(body)) as batches:
                async for lines, is_last in batches:
                    if is_last:  # one write less
                        await response.write_eof(lines)
                        break
                    await response.write(lines)
        except ConnectionError:
            _log.debug("the caller hung up")
        finally:
            self._running -= 1
        return response

    async def _task(self, request: web.Request) -> web.Response:
        """A task with one result."""
        self._running += 1
        try:
            task = Task(request.match_info["name"])
            body = await request.read()
            if not isinstance(self._backend, PROTOCOLS[task]):
                message = f"This model does not {task.value}."
                raise Unsupported(message, feature=task.value)  # noqa: TRY301 - one exit for every failure
            result = await getattr(self._backend, task.value)(codec.decode_task_request(task, body))
            return web.Response(body=codec.encode_task_result(result), content_type=_JSON)
        except LocalAIError as error:
            return _failed(error)
        except Exception as error:
            _log.exception("the call failed")
            return _failed(EngineFailed(f"The engine failed: {type(error).__name__}: {error}"))
        finally:
            self._running -= 1

    async def _audio(self, request: web.Request) -> web.StreamResponse:
        """A task with sound: it is answered when all of the body is there."""
        response = web.StreamResponse(headers={"Content-Type": _NDJSON})
        self._running += 1
        try:
            async with aclosing(self._audio_lines(request)) as lines:
                async for line in lines:
                    if not response.prepared:
                        await response.prepare(request)
                    await response.write(line)
        except ConnectionError:
            _log.debug("the caller hung up")
        finally:
            self._running -= 1
        return response

    async def _audio_lines(self, request: web.Request) -> AsyncGenerator[bytes, None]:
        """The events of one call with sound as lines. An exception becomes a last, failed line."""
        body = request.content.iter_any()
        answer = audio_calls.answer(self._backend, request.match_info["name"], body)
        try:
            async with aclosing(answer) as lines:
                async for line in lines:
                    yield line
        except LocalAIError as error:
            yield codec.encode_events([Failed(error)])
        except Exception as error:
            _log.exception("the call failed")
            failed = EngineFailed(f"The engine failed: {type(error).__name__}: {error}")
            yield codec.encode_events([Failed(failed)])

    async def _answer(self, body: bytes) -> AsyncGenerator[tuple[bytes, bool], None]:
        """The events of one call as NDJSON, and whether they are the last ones.

        An exception becomes a last, failed line.
        """
        try:
            generator = self._backend
            if not isinstance(generator, TextGenerator):
                message = "This worker does not generate text, or has not loaded its model."
                raise Unsupported(message, feature="generate")  # noqa: TRY301 - one exit for every failure
            request = codec.request_from_wire(msgspec.json.decode(body, type=GenerateCall))
            async with aclosing(generator.generate(request)) as batches:
                async for batch in batches:
                    is_last = bool(batch) and isinstance(batch[-1], Finished | Failed)
                    yield codec.encode_events(batch), is_last
        except LocalAIError as error:
            yield codec.encode_events([Failed(error)]), True
        except Exception as error:
            _log.exception("the call failed")
            failed = EngineFailed(f"The engine failed: {type(error).__name__}: {error}")
            yield codec.encode_events([Failed(failed)]), True

    async def _close(self, _application: web.Application) -> None:
        if self._backend is not None:
            await self._backend.close()


def _failed(error: LocalAIError) -> web.Response:
    body = codec.encode(codec.error_to_wire(error))
    return web.Response(status=_FAILED, body=body, content_type=_JSON)


def serve(module: str, listen: str, *, token: str = "") -> None:
    """Run the backend in `module` on `listen` until SIGTERM or SIGINT."""
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    backend_class: type[Backend] = load_module(module).Backend
    worker = Worker(backend_class, token=token)
    _runner()(_serve(worker, listen))


def tasks_of(backend_class: type[Backend]) -> list[str]:
    """The tasks a backend can do: those whose protocol it satisfies."""
    return [
        task.value for task, protocol in PROTOCOLS.items() if issubclass(backend_class, protocol)
    ]


def load_module(name: str) -> ModuleType:
    """The module `name`, or the one in the file of `file:PATH`."""
    if not name.startswith(_FILE):
        return importlib.import_module(name)
    path = Path(name.removeprefix(_FILE))
    spec = importlib.util.spec_from_file_location(f"localai_custom_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # structs and dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def _runner() -> Callable[[Any], Any]:
    """uvloop where it is installed: it halves the time a token spends between sockets."""
    try:
        return importlib.import_module("uvloop").run  # type: ignore[no-any-return]  # an optional package
    except ImportError:
        return asyncio.run


async def _serve(worker: Worker, listen: str) -> None:
    runner = web.AppRunner(
        worker.application(),
        handler_cancellation=True,
        access_log=None,
        shutdown_timeout=_SHUTDOWN_S,
    )
    await runner.setup()
    kind, _, address = listen.partition(":")
    if kind == "unix":
        await web.UnixSite(runner, address).start()
    else:
        host, _, port = address.rpartition(":")
        await web.TCPSite(runner, host, int(port)).start()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError):  # Windows has no signal handlers on its loop
            loop.add_signal_handler(number, stop.set)
    await stop.wait()
    await runner.cleanup()
