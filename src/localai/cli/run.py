"""`local-ai run`: the server."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import resource
import socket
import sys
from typing import TYPE_CHECKING, Any, Self

import click

from localai import settings as settings_table
from localai.cli.completion import complete_installable
from localai.cli.options import setting_options
from localai.domain.errors import LocalAIError, SettingInvalid
from localai.domain.tasks import Task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from localai.http.services import Services
    from localai.inference.library import Library
    from localai.settings import ServerSettings

_BACKLOG = 2048
_OPEN_FILES = 65_536  # each connection is one
_SHOWN_MODELS = 10
_FIND = "local-ai models search WORD finds them, local-ai run NAME gets one"


@click.command()
@click.argument("names", nargs=-1, metavar="[MODEL]...", shell_complete=complete_installable)
@click.option(
    "--install-missing",
    "autoload_backends_too",
    is_flag=True,
    help="The same as --autoload-backends.",
)
@click.option(
    "-y", "--yes", is_flag=True, help="Install the engines that models need, without asking."
)
@click.option(
    "-p", "--prompt", help="Start no server: answer this and end; `-` reads it from stdin."
)
@setting_options()
def command(
    names: tuple[str, ...],
    *,
    autoload_backends_too: bool,
    prompt: str | None,
    yes: bool,
    **flags: Any,
) -> None:
    """Start the server, and load each MODEL before the first request.

    A MODEL that is not installed is found in the galleries, or wherever its name says
    (owner/repository, ollama://..., https://..., a path), downloaded and verified first.

    Every option can also be set by the environment variable in brackets, or in a file `.env` or
    `localai.env` in this folder.
    """
    if autoload_backends_too:
        flags["autoload_backends"] = True
    settings, sources = settings_table.load_with_sources(flags, warn=_warn)
    if prompt is not None:
        _answer(settings, names, prompt, yes=yes)
        return
    wanted = _wanted(names, settings, sources)
    _allow_many_files()
    listener = _listen(settings)  # before anything slow: a used port is the most common mistake
    with _to_stay():
        from localai.assemble import build_services
        from localai.cli.obtain import preload
        from localai.http.server import Server
        from localai.observe import log
    log.configure(
        level="debug" if settings.debug else settings.log_level, log_format=settings.log_format
    )
    preload(settings, yes=yes)
    loaded = tuple(name for name in (_obtained(settings, *one, yes=yes) for one in wanted) if name)
    services = build_services(settings)
    server = Server(services)
    address = _shown_address(listener)
    with _Talk(settings) as talk:
        serving = server.run_on(
            listener,
            load=loaded,
            report=talk.loading,
            started=lambda: talk.ready(address, services),
        )
        _runner()(serving)


def _wanted(
    names: tuple[str, ...], settings: ServerSettings, sources: Mapping[str, str]
) -> list[tuple[str, str]]:
    """The models to have at the start, each with where it is named; "" is the command itself."""
    listed = [(name, "") for name in names]
    listed += [(name, sources.get("models", "")) for name in settings.models]
    listed += [(name, sources.get("load_to_memory", "")) for name in settings.load_to_memory]
    return list({name: (name, source) for name, source in reversed(listed)}.values())[::-1]


def _obtained(settings: ServerSettings, name: str, source: str, *, yes: bool) -> str:
    """The installed name of a model that is wanted at the start.

    "" when a variable that may be another program's names something that is no model of ours.
    """
    from localai.cli.obtain import obtain

    try:
        return obtain(settings, name, yes=yes)
    except LocalAIError as error:
        if not source or source.startswith("-") or settings_table.is_ours(source):
            raise
        _warn(
            f"{source} names the model {name!r}, which is left out: {error.message} "
            f"If it is meant for this server, set LOCALAI_{source} instead."
        )
        return ""


def _warn(sentence: str) -> None:
    click.echo(f"warning: {sentence}", err=True)


@contextlib.contextmanager
def _to_stay() -> Iterator[None]:
    """Keep the garbage collector from what is made inside: modules, which are there to the end.

    To look through them again and again costs a tenth of the start, and breaks of the event loop
    later on.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _answer(settings: ServerSettings, models: tuple[str, ...], prompt: str, *, yes: bool) -> None:
    from localai.cli.chat import talk

    if len(models) > 1:
        raise click.UsageError("--prompt is answered by one model; name one.")
    talk(settings, models[0] if models else "", prompt, yes=yes)


def _allow_many_files() -> None:
    """Have as many connections as the system lets this user have, not the few a shell begins with."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):  # a system may have a lower limit of its own
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _listen(settings: ServerSettings) -> socket.socket:
    """A listening socket. Raises SettingInvalid when the address cannot be used."""
    host, port = settings.host or "0.0.0.0", settings.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        message = f"The server cannot listen on {host}:{port}: {error.strerror or error}."
        hint = f"Stop the program that uses it, or choose another one: --address {host}:{port + 1}"
        raise SettingInvalid(message, hint=hint) from error
    listener.setblocking(False)  # noqa: FBT003 - the only form it has
    return listener


def _shown_address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    if host in ("0.0.0.0", "::"):
        host = "localhost"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _runner() -> Callable[[Any], Any]:
    try:
        import uvloop
    except ImportError:
        return asyncio.run
    return uvloop.run


class _Talk:
    """What the server tells the person who started it, on stderr."""

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self._status: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop_status()

    def loading(self, name: str, state: str) -> None:
        """A model named on the command line is being loaded, or is ready."""
        self._stop_status()
        if state == "loading" and sys.stderr.isatty():
            from rich.console import Console

            self._status = Console(stderr=True).status(f"Loading {name} ...")
            self._status.start()
        else:
            click.echo(f"{name}: {state}", err=True)

    def ready(self, address: str, services: Services) -> None:
        """The server answers requests: say what to try next."""
        self._stop_status()
        specs = services.library.catalog().specs
        lines = [f"local-ai listens on {address}   (docs: {address}/docs, stop: Ctrl-C)"]
        if not specs:
            lines.append(
                f"No models yet: {_FIND}, or put a .gguf file into {self._settings.models_path.resolve()}"
            )
        elif next(iter(specs.values())).is_starter:
            lines.append(
                f"The model is a small demonstration. For a real one: {_FIND}, or put a .gguf file into {self._settings.models_path.resolve()}"
            )
        else:
            more = " ..." if len(specs) > _SHOWN_MODELS else ""
            lines.append(f"Models: {', '.join(list(specs)[:_SHOWN_MODELS])}{more}")
        if specs:
            key = " \\\n  -H 'Authorization: Bearer YOUR_KEY'" if self._settings.api_keys else ""
            lines += ["", "Try this:", "", _example(address, key, services.library), ""]
        click.echo("\n".join(lines), err=True)

    def _stop_status(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None


def _example(address: str, key: str, library: Library) -> str:
    """A call that the first model can answer: a chat if one of them chats, else what it does."""
    specs = library.catalog().specs
    name, task = library.example()
    name = name or next(iter(specs))
    json_type = " -H 'Content-Type: application/json'"
    path, how = {
        Task.EMBED: ("embeddings", f"""{json_type}{key} \\
  -d '{{"model": "{name}", "input": "Say this is a test!"}}'"""),
        Task.RERANK: ("rerank", f"""{json_type}{key} \\
  -d '{{"model": "{name}", "query": "test", "documents": ["This is a test.", "That is not."]}}'"""),
        Task.TRANSCRIBE: ("audio/transcriptions", f"""{key} \\
  -F model={name} -F file=@speech.mp3"""),
        Task.SYNTHESIZE: ("audio/speech", f"""{json_type}{key} \\
  -d '{{"model": "{name}", "input": "Say this is a test!"}}' -o speech.mp3"""),
        Task.DETECT_SPEECH: ("vad", f"""{key} \\
  -F model={name} -F file=@speech.mp3"""),
    }.get(task, ("chat/completions", f"""{json_type}{key} \\
  -d '{{"model": "{name}", "messages": [{{"role": "user", "content": "Say this is a test!"}}]}}'"""))  # fmt: skip
    return f"curl {address}/v1/{path}{how}"
