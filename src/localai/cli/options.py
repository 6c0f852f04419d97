"""Server settings as command-line options, made from the one table in `settings`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click

from localai.settings import SettingRow, rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Command = TypeVar("Command", bound="Callable[..., Any]")
_METAVARS = {
    "text": "TEXT", "number": "N", "duration": "TIME", "list": "A,B", "path": "PATH",
}  # fmt: skip


def setting_options(names: Iterable[str] | None = None) -> Callable[[Command], Command]:
    """Add the options of all settings, or of `names`, to a command."""
    wanted = None if names is None else frozenset(names)

    def add(function: Command) -> Command:
        for row in reversed(rows()):
            if wanted is None or row.name in wanted:
                function = _option(row)(function)
        return function

    return add


def _option(row: SettingRow) -> Callable[[Command], Command]:
    declarations = [row.flag, *([f"-{row.short}"] if row.short else [])]
    help_text = f"{row.help_text}{_shown_default(row)}  [{row.variables[0]}]"
    if row.kind == "flag":
        declarations[0] = f"{row.flag}/--no-{row.flag.removeprefix('--')}"
        return click.option(*declarations, row.name, default=None, help=help_text)
    return click.option(
        *declarations, row.name, default=None, metavar=_METAVARS[row.kind], help=help_text
    )


def _shown_default(row: SettingRow) -> str:
    if row.kind == "flag" or row.default in (None, (), ""):
        return ""
    if row.kind == "duration":
        return f" Default: {row.default:g}s."
    return f" Default: {row.default}."
