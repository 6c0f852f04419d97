"""`local-ai`: the group of commands, and how errors end them."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import click

_COMMANDS = {
    "run": ("localai.cli.run", "Start the server."),
    "chat": ("localai.cli.chat", "Talk to a model in the terminal."),
    "models": ("localai.cli.models", "List the models of this machine, and find more."),
    "backends": ("localai.cli.backends", "List, install and remove engines."),
    "system": ("localai.cli.system", "Show what a report of a fault needs."),
    "completion": (
        "localai.cli.completion",
        "Print the script that completes commands in a shell.",
    ),
    "version": ("localai.cli.version", "Show the version."),
}
_MISUSED = 2


class _Lazy(click.Group):
    """Knows its commands' names and first lines; imports one when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The names, in the order of the table."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """The command itself."""
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = importlib.import_module(_COMMANDS[cmd_name][0]).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Like click's, with the nearest name for one that does not exist."""
        if args and args[0] not in _COMMANDS and not args[0].startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(args[0], _COMMANDS, n=1)
            meant = f" Did you mean {near[0]!r}?" if near else ""
            ctx.fail(
                f"There is no command {args[0]!r}.{meant} The commands are {', '.join(_COMMANDS)}."
            )
        return super().resolve_command(ctx, args)


@click.group(
    cls=_Lazy,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="`local-ai` alone starts the server, like `local-ai run`.",
)
@click.pass_context
def group(context: click.Context) -> None:
    """Serve open models behind the APIs that programs already use."""
    if context.invoked_subcommand is None:
        command = importlib.import_module(_COMMANDS["run"][0]).command
        context.invoke(command)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line. Exit 0: done, 1: failed, 2: misused."""
    try:
        group.main(args=arguments, prog_name="local-ai", standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except Exception as error:
        _end_with(error)


def _end_with(error: Exception) -> Any:
    """Say what went wrong as sentences; anything unexpected keeps its traceback."""
    from localai.domain.errors import LocalAIError, SettingInvalid

    if not isinstance(error, LocalAIError):
        raise error
    click.echo(f"error: {error.message}", err=True)
    if error.hint:
        click.echo(f"hint: {error.hint}", err=True)
    sys.exit(_MISUSED if isinstance(error, SettingInvalid) else 1)
