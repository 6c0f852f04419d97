"""docs/reference/settings.md and errors.md, made from the code. To write them anew:

python -m tests.docs.reference_pages
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from localai.dialects.openai.errors import ERRORS
from localai.domain import errors, source_errors
from localai.domain.errors import LocalAIError
from localai.settings import SettingRow, rows

OURS = (errors.__name__, source_errors.__name__)
FOLDER = Path(__file__).parents[2] / "docs" / "reference"
AGAIN = "python -m tests.docs.reference_pages writes the page anew"

GROUPS = {
    "api": "The API",
    "models": "Models",
    "performance": "Performance",
    "workers": "Workers",
    "logs": "Logs",
}
SETTINGS_HEAD = """\
# Settings of the server

Each setting can be given as a flag of `local-ai run`, as an environment variable, or as such a
variable in an env file. The flag wins over the environment, and that over the env files. Of
several variables of one setting, the first in the table wins. Names without `LOCALAI_` or `LLAMACPP_`
may be another program's variables: where one says what makes no sense here, the server tells so
and starts without it.

Env files are `.env` and `localai.env` in the folder where the server is started, `~/localai.env`,
`~/.config/localai.env` and `/etc/localai.env`; an earlier one wins over a later one.

Durations are seconds, or numbers with units such as `90s`, `15m` or `1h30m`. A flag that says yes
or no has a second form, `--no-...`; its variable takes true, yes, on, 1, false, no, off, 0.

What a single model does is set in its [model file](model_files.md).
"""
ERRORS_HEAD = """\
# Errors

Every error is a sentence that says what happened, with the value and the limit, and what to do
next. Its kind is stable: logs and the metric `localai_failures_total` name it, and each API spells
it in its own way. The statuses here are those of the [OpenAI API](openai.md#errors).

An error before the first piece of an answer has its own status. Later, in a stream, it is an event
with the same body, for the status has been sent already.
"""
FAMILIES = {
    "RequestError": "The request: the caller can correct it",
    "CapacityError": "Too much at once: later it may work",
    "WorkerError": "The engine",
    "SetupError": "The installation: the operator can correct it",
}


def settings_page() -> str:
    """The page of all settings."""
    table = rows()
    parts = [SETTINGS_HEAD.rstrip()]
    assert {row.group for row in table} == set(GROUPS), "a group has no heading"
    for group, heading in GROUPS.items():
        parts += [
            f"\n## {heading}\n",
            "| flag | variables | default | meaning |",
            "|---|---|---|---|",
        ]
        parts += [_setting(row) for row in table if row.group == group]
    return "\n".join(parts) + "\n"


def _setting(row: SettingRow) -> str:
    flag = f"`{row.flag}`" + (f", `-{row.short}`" if row.short else "")
    variables = "<br>".join(f"`{variable}`" for variable in row.variables)
    return f"| {flag} | {variables} | {_default(row)} | {row.help_text} |"


def _default(row: SettingRow) -> str:
    if row.default in (None, (), ""):
        return ""
    if row.kind == "flag":
        return "yes" if row.default else "no"
    return f"`{row.default:g}s`" if row.kind == "duration" else f"`{row.default}`"


def errors_page() -> str:
    """The page of all kinds of errors."""
    parts = [ERRORS_HEAD.rstrip()]
    families = LocalAIError.__subclasses__()
    own = [family for family in families if family.__module__ == errors.__name__]
    assert [family.__name__ for family in own] == list(FAMILIES), "a family has no heading"
    for family in own:
        parts += [
            f"\n## {FAMILIES[family.__name__]}\n",
            "| kind | meaning | status |",
            "|---|---|---|",
        ]
        parts += [_error(cls) for cls in _leaves(family)]
    return "\n".join(parts) + "\n"


def _leaves(root: type[LocalAIError]) -> Iterator[type[LocalAIError]]:
    children = [cls for cls in root.__subclasses__() if cls.__module__ in OURS]
    for child in children:
        yield from _leaves(child)
    if not children:
        yield root


def _error(cls: type[LocalAIError]) -> str:
    meaning = " ".join((inspect.getdoc(cls) or "").partition("\n\n")[0].split())
    return f"| `{cls.kind}` | {meaning} | {ERRORS[cls.kind].status} |"


PAGES: Mapping[str, Callable[[], str]] = {"settings.md": settings_page, "errors.md": errors_page}


if __name__ == "__main__":
    for name, make in PAGES.items():
        (FOLDER / name).write_text(make())
