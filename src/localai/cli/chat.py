"""`local-ai chat`: a conversation with a model in the terminal, and `run --prompt`: one answer."""

from __future__ import annotations

import contextlib
import json
import sys
from typing import TYPE_CHECKING, Any

import click

from localai import settings as settings_table
from localai.cli.background import Background
from localai.cli.completion import complete_installable
from localai.cli.conversation import LEAVING, Conversation
from localai.cli.options import setting_options

if TYPE_CHECKING:
    from localai.assemble import Runner
    from localai.domain.errors import LocalAIError
    from localai.domain.events import Event
    from localai.settings import ServerSettings

SETTINGS = (
    "models_path", "models_config_file", "data_path", "backends_path", "galleries", "autoload_backends",
    "threads", "context_size", "f16", "parallel", "log_level",
)  # fmt: skip
_QUOTES = '"""'


@click.command()
@click.argument("model", required=False, default="", shell_complete=complete_installable)
@click.option("-p", "--prompt", help="Answer this and end; `-` reads it from stdin.")
@click.option(
    "-y", "--yes", is_flag=True, help="Install the engine that the model needs, without asking."
)
@click.option("--system", default="", help="The system prompt.")
@click.option("--json", "as_json", is_flag=True, help="With --prompt: print the answer as JSON.")
@setting_options(SETTINGS)
def command(
    model: str, *, prompt: str | None, yes: bool, system: str, as_json: bool, **flags: Any
) -> None:
    """Talk to a model in the terminal: to MODEL, or to the first one that is installed.

    The model runs without a server, and is installed first where it is not. /help lists what can
    be said besides.
    """
    talk(settings_table.load(flags), model, prompt, system=system, as_json=as_json, yes=yes)


def talk(
    settings: ServerSettings, model: str, prompt: str | None, *, system: str = "", as_json: bool = False,
    yes: bool = False,
) -> None:  # fmt: skip
    """One answer to `prompt`, or a conversation when there is none.

    Raises the error of a model that cannot be found or loaded.
    """
    from localai.assemble import build_runner
    from localai.cli.obtain import obtain
    from localai.observe import log

    log.configure(level="warn" if settings.log_level == "info" else settings.log_level, log_format=settings.log_format)  # fmt: skip
    if prompt == "-":
        prompt = sys.stdin.read()
    name = obtain(settings, model, yes=yes) if model else ""
    runner = build_runner(settings)
    name = name or runner.library.find("").name
    conversation = Conversation(model=name, system=system)
    with Background() as background:
        try:
            terminal = _Terminal(background, runner, conversation)
            if prompt is None:
                terminal.converse()
            else:
                conversation.ask(prompt)
                terminal.answer_once(as_json=as_json)
        finally:
            background.run(runner.close())


class _Terminal:
    """Shows answers and reads questions. Answers go to stdout, all else to stderr."""

    def __init__(self, background: Background, runner: Runner, conversation: Conversation) -> None:
        self._background = background
        self._runner = runner
        self._conversation = conversation
        self._is_styled = sys.stderr.isatty() and not settings_table.terminal_is_dumb()

    def answer_once(self, *, as_json: bool) -> None:
        """Answer the one question. Raises the error that ended it."""
        said = _Said(shows=not as_json, is_styled=self._is_styled)
        try:
            self._answer(said)
        except KeyboardInterrupt:
            raise click.Abort from None
        finally:
            said.close()
        if as_json:
            click.echo(json.dumps(said.as_json, indent=2, ensure_ascii=False))

    def converse(self) -> None:
        """Ask and answer until the user leaves."""
        self._load()
        if sys.stdin.isatty():
            with contextlib.suppress(ImportError):
                import readline  # noqa: F401 - gives input() its history and editing
        while (line := self._read()) is not None:
            word = line.strip().partition(" ")[0]
            if word in LEAVING:
                return
            if word == "/retry":
                if self._conversation.take_back():
                    self._reply()
            elif word.startswith("/"):
                self._tell(self._conversation.command(line))
            elif word:
                self._conversation.ask(line)
                self._reply()

    def _load(self) -> None:
        """Have the model ready before the first question is asked."""
        name = self._conversation.model
        self._tell(f"Loading {name} ...")
        self._background.run(self._runner.load(name))
        self._tell("Ask something. /help lists the commands, Ctrl-D leaves.")

    def _read(self) -> str | None:
        """The next question, of several lines when it begins with three quotes; None at the end."""
        lines: list[str] = []
        while True:
            try:
                line = input("... " if lines else ">>> ") if sys.stdin.isatty() else _next_line()
            except EOFError:
                return None
            except KeyboardInterrupt:
                self._tell("\nCtrl-D or /exit leaves.")
                lines.clear()
                continue
            is_open = bool(lines) or line.lstrip().startswith(_QUOTES)
            lines.append(line)
            text = "\n".join(lines)
            if not is_open:
                return text
            inner = text.strip().removeprefix(_QUOTES)
            if inner.rstrip().endswith(_QUOTES):
                return inner.rstrip().removesuffix(_QUOTES).strip("\n")

    def _reply(self) -> None:
        from localai.domain.errors import LocalAIError

        said = _Said(shows=True, is_styled=self._is_styled)
        try:
            self._answer(said)
        except KeyboardInterrupt:
            said.close()
            self._tell("(stopped)")
        except LocalAIError as error:
            said.close()
            self._tell(f"error: {error.sentence}")
        said.close()
        self._conversation.answered(said.text)

    def _answer(self, said: _Said) -> None:
        stream = self._runner.answer(self._conversation.request)
        with contextlib.closing(self._background.items(stream)) as batches:
            for batch in batches:
                for event in batch:
                    said.take(event)
        if said.error is not None:
            raise said.error

    def _tell(self, text: str) -> None:
        click.echo(text, err=True)


class _Said:
    """One answer as it is written: the text to stdout, thoughts dimmed to stderr."""

    def __init__(self, *, shows: bool, is_styled: bool) -> None:
        self.text = ""
        self.error: LocalAIError | None = None
        self.as_json: dict[str, Any] = {"text": "", "reasoning": "", "finish_reason": None}
        self._shows = shows
        self._is_styled = is_styled
        self._is_thinking = False
        self._is_closed = False

    def take(self, event: Event) -> None:
        """Show what an event says."""
        from localai.domain.events import BlockKind, ChoiceEnded, Delta, Failed, Finished

        match event:
            case Delta(kind=BlockKind.TEXT):
                self._end_thinking()
                self.text += event.text
                self.as_json["text"] += event.text
                if self._shows:
                    sys.stdout.write(event.text)
                    sys.stdout.flush()
            case Delta(kind=BlockKind.REASONING):
                self.as_json["reasoning"] += event.text
                if self._shows and self._is_styled:
                    self._is_thinking = True
                    click.secho(event.text, dim=True, nl=False, err=True)
            case ChoiceEnded():
                self.as_json["finish_reason"] = event.reason.value
            case Finished():
                self.as_json["prompt_tokens"] = event.usage.prompt_tokens
                self.as_json["completion_tokens"] = event.usage.completion_tokens
            case Failed():
                self.error = event.error
            case _:
                pass

    def close(self) -> None:
        """End the line."""
        if not self._is_closed and self._shows:
            self._end_thinking()
            if self.text and not self.text.endswith("\n"):
                sys.stdout.write("\n")
            sys.stdout.flush()
        self._is_closed = True

    def _end_thinking(self) -> None:
        if self._is_thinking:
            click.echo(err=True)
            self._is_thinking = False


def _next_line() -> str:
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line.rstrip("\n")
