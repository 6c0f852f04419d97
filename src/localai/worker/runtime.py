"""The worker's life: load once, serve calls, cancel, turn exceptions into domain errors.

Sockets, signals, threads and logging are here and in `http_server`, so that a backend has none.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import importlib
import importlib.util
import logging
import os
import signal
import sys
from contextlib import aclosing
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from localai.domain.batches import Batches, batches_of
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
from localai.worker.device_errors import is_lost, out_of_memory
from localai.worker.http_requests import Refused, Request
from localai.worker.http_server import Exchange, HttpServer
from localai.worker.interfaces import PROTOCOLS, TextGenerator
from localai.worker.senders import Sender, Senders

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

    from localai.domain.events import Event
    from localai.worker.interfaces import Backend

_log = logging.getLogger("localai.worker")
_JSON = "application/json"
_NDJSON = "application/x-ndjson"
_SHUTDOWN_S = 2.0
_LAST_WORDS_S = 0.5  # for the errors of calls that end with a lost device
_LOST_DEVICE = 70  # EX_SOFTWARE
_FAILED = 422
_FILE = "file:"  # before the path of a backend that is no module of this package
_METHODS = {"/health": "GET", "/load": "POST", "/generate": "POST"}
_TASK = "/task/"
_AUDIO = "/audio/"

Result = TypeVar("Result")


async def in_thread(function: Callable[..., Result], *arguments: Any) -> Result:
    """Run a blocking engine call without blocking the worker."""
    return await asyncio.to_thread(function, *arguments)


class Worker:
    """One backend behind the worker protocol (`wire.messages`)."""

    def __init__(self, backend_class: type[Backend], *, token: str = "") -> None:
        self._backend_class = backend_class
        self._token = token.encode()
        self._backend: Any = None  # any Backend, asked for its tasks at run time
        self._generator: TextGenerator | None = None  # that backend, where it is one
        self._model = ""
        self._is_ordered = False
        self._state = "starting"
        self._running = 0
        self._senders = Senders()

    def admit(self, request: Request) -> None:
        """Refuse a caller without the token, and what is not served, before a body is read."""
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if self._token and not hmac.compare_digest(given.encode("latin-1"), self._token):
            raise Refused(401, "The worker's token is missing or wrong.")
        is_named = request.path.startswith((_TASK, _AUDIO))
        method = "POST" if is_named else _METHODS.get(request.path)
        if method is None:
            served = ", ".join(_METHODS)
            raise Refused(404, f"A worker serves {served}, {_TASK}NAME and {_AUDIO}NAME.")
        if request.method != method:
            raise Refused(405, f"{request.path} is asked with {method}.")
        if request.path.startswith(_AUDIO):
            request.sink = audio_calls.Body()

    async def handle(self, exchange: Exchange) -> None:
        """Answer one request that was admitted."""
        path, body = exchange.request.path, exchange.request.body
        if path == "/generate":
            await self._generate(exchange, body)
        elif path == "/health":
            health = Health(state=self._state, model=self._model, running=self._running)
            exchange.reply(200, codec.encode(health), _JSON)
        elif path == "/load":
            exchange.reply(*await self._load(body), _JSON)
        elif path.startswith(_AUDIO):
            assert isinstance(exchange.request.sink, audio_calls.Body)
            await self._audio(exchange, path.removeprefix(_AUDIO), exchange.request.sink)
        else:
            exchange.reply(*await self._task(path.removeprefix(_TASK), body), _JSON)

    async def close(self) -> None:
        """Free the engine."""
        if self._backend is not None:
            await self._backend.close()

    async def _load(self, body: bytes) -> tuple[int, bytes]:
        try:
            order = msgspec.json.decode(body, type=LoadRequest)
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
            what = "The engine failed to load the model"
            known = out_of_memory(error, what)
            return self._load_failed(known or StartFailed(f"{what}: {error}"))
        if isinstance(self._backend, TextGenerator):
            self._generator = self._backend
        self._state = "ready"
        return 200, codec.encode(self._backend.facts)

    def _load_failed(self, error: LocalAIError) -> tuple[int, bytes]:
        self._state = "failed"
        return _failed(error)

    async def _generate(self, exchange: Exchange, body: bytes) -> None:
        """A stream of events as NDJSON. An exception becomes a last, failed line."""
        self._running += 1
        sender = self._senders.sender(exchange, _NDJSON)
        try:
            await self._answer(body).into(partial(_send, sender))
        except _Ended:
            pass
        except LocalAIError as error:
            _fail(sender, error)
        except Exception as error:
            _fail(sender, _unexpected(error))
        finally:
            sender.close()
            self._running -= 1

    def _answer(self, body: bytes) -> Batches[Event]:
        """The events of one call. Raises what is wrong with it."""
        generator = self._generator
        if generator is None:
            message = "This worker does not generate text, or has not loaded its model."
            raise Unsupported(message, feature="generate")
        request = codec.request_from_wire(msgspec.json.decode(body, type=GenerateCall))
        answer = generator.generate(request)
        return answer if isinstance(answer, Batches) else batches_of(answer)

    async def _task(self, name: str, body: bytes) -> tuple[int, bytes]:
        """A task with one result."""
        self._running += 1
        try:
            task = Task(name)
            if not isinstance(self._backend, PROTOCOLS[task]):
                message = f"This model does not {task.value}."
                raise Unsupported(message, feature=task.value)  # noqa: TRY301 - one exit for every failure
            result = await getattr(self._backend, task.value)(codec.decode_task_request(task, body))
            return 200, codec.encode_task_result(result)
        except LocalAIError as error:
            return _failed(error)
        except Exception as error:
            return _failed(_unexpected(error))
        finally:
            self._running -= 1

    async def _audio(self, exchange: Exchange, name: str, body: audio_calls.Body) -> None:
        """A task with sound: it is answered when all of the body is there."""
        self._running += 1
        try:
            async with aclosing(self._audio_lines(name, body)) as lines:
                async for line in lines:
                    await exchange.send(line, _NDJSON)
            exchange.end(b"", _NDJSON)
        finally:
            self._running -= 1

    async def _audio_lines(self, name: str, body: audio_calls.Body) -> AsyncGenerator[bytes, None]:
        """The events of one call with sound as lines. An exception becomes a last, failed line."""
        try:
            async with aclosing(audio_calls.answer(self._backend, name, body)) as lines:
                async for line in lines:
                    yield line
        except LocalAIError as error:
            yield codec.encode_events([Failed(error)])
        except Exception as error:
            yield codec.encode_events([Failed(_unexpected(error))])


class _Ended(Exception):
    """The last event has been sent: what an engine says after it is for nobody."""


def _send(sender: Sender, batch: Sequence[Event]) -> Awaitable[None] | None:
    if sender.has_ended:
        raise _Ended
    if batch and isinstance(batch[-1], Finished | Failed):
        sender.end(codec.encode_events(batch))
        return None
    return sender.send(codec.encode_events(batch))


def _unexpected(error: Exception) -> LocalAIError:
    """What an engine raised in a call, logged, as the caller is told.

    A worker whose device is lost ends when its callers know: the next request gets a new one.
    """
    _log.error("the call failed", exc_info=error)
    if is_lost(error):
        _log.error("the device answers no more calls of this process, which ends")
        asyncio.get_running_loop().call_later(_LAST_WORDS_S, os._exit, _LOST_DEVICE)
    known = out_of_memory(error, "The engine failed")
    return known or EngineFailed(f"The engine failed: {type(error).__name__}: {error}")


def _fail(sender: Sender, error: LocalAIError) -> None:
    if not sender.has_ended:
        sender.end(codec.encode_events([Failed(error)]))


def _failed(error: LocalAIError) -> tuple[int, bytes]:
    return _FAILED, codec.encode(codec.error_to_wire(error))


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
    server = HttpServer(worker.handle, admit=worker.admit)
    kind, _, address = listen.partition(":")
    if kind == "unix":
        await server.listen_unix(address)
    else:
        host, _, port = address.rpartition(":")
        await server.listen_tcp(host, int(port))
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError):  # Windows has no signal handlers on its loop
            loop.add_signal_handler(number, stop.set)
    await stop.wait()
    await server.close(grace_s=_SHUTDOWN_S)
    await worker.close()
