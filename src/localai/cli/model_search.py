"""`local-ai models available`, `search`, `info` and `check`: what can be installed, and what is."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import sys
from typing import TYPE_CHECKING, Any

import click

from localai import settings as settings_table
from localai.cli.completion import complete_installable, complete_models
from localai.cli.options import setting_options

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from localai.catalog.spec import Catalog
    from localai.domain.downloads import ModelPlan
    from localai.gallery import Entry
    from localai.gallery.supply import ModelSupply
    from localai.inference.inspection import Inspection
    from localai.inference.library import Library

_PLACES = ["models_path", "models_config_file", "data_path", "backends_path", "galleries"]
_LONGEST = 60  # of a description in a table

_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_all_option = click.option("--all", "show_all", is_flag=True, help="Also those without an engine here.")  # fmt: skip
_refresh_option = click.option("--refresh", is_flag=True, help="Fetch the galleries' lists anew.")


@click.command("available")
@_json_option
@_all_option
@_refresh_option
@setting_options(_PLACES)
def available(*, as_json: bool, show_all: bool, refresh: bool, **flags: Any) -> None:
    """List every model of the galleries; a * marks those that are installed."""
    _list_entries("", flags, as_json=as_json, show_all=show_all, refresh=refresh)


@click.command("search")
@click.argument("words", nargs=-1, required=True, metavar="WORD...")
@_json_option
@_all_option
@_refresh_option
@setting_options(_PLACES)
def search(
    words: tuple[str, ...], *, as_json: bool, show_all: bool, refresh: bool, **flags: Any
) -> None:
    """List the models of the galleries that have every WORD in their name, tags or description."""
    _list_entries(" ".join(words), flags, as_json=as_json, show_all=show_all, refresh=refresh)


@click.command("info")
@click.argument("name", shell_complete=complete_installable)
@_json_option
@setting_options(_PLACES)
def info(name: str, *, as_json: bool, **flags: Any) -> None:
    """Show everything about the model NAME: installed, of a gallery, or of where its name leads."""
    from localai.domain.errors import ModelNotFound
    from localai.sources import is_written_as_source

    settings = settings_table.load(flags)
    library, supply = _library(settings), _supply(settings)

    async def look() -> tuple[str, dict[str, Any]]:
        try:
            spec = library.find_listed(name)
        except ModelNotFound:
            if is_written_as_source(name) and not await supply.galleries.knows(name):
                return "source", _planned(await supply.planner.plan(name))
            entry = await supply.galleries.find(name)
            return "gallery", await _described(entry, supply)
        from localai.inference.inspection import inspect

        return "installed", dataclasses.asdict(await inspect(spec, library))

    where, said = _run(look, supply)
    if as_json:
        click.echo(json.dumps({"where": where, **said}, indent=2))
        return
    for title, value in said.items():
        if value not in (None, "", 0, [], (), {}):
            shown = title.removesuffix("_bytes").replace("_", " ")
            click.echo(f"{shown:<20} {_shown(title, value)}")


@click.command("check")
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=complete_models)
@_json_option
@setting_options(_PLACES)
def check(names: tuple[str, ...], *, as_json: bool, **flags: Any) -> None:
    """Say which engine runs each installed model and why, and what keeps it from working."""
    from localai.inference.inspection import Inspection, inspect

    library = _library(settings_table.load(flags))
    catalog = library.catalog()

    async def look() -> list[Inspection]:
        wanted = names or tuple(name for name, spec in catalog.specs.items() if not spec.alias)
        found = [
            Inspection(name=name, problems=catalog.broken[name])
            if name in catalog.broken
            else await inspect(library.find_listed(name), library)
            for name in wanted
        ]
        if not names:
            found += [Inspection(name=name, problems=text) for name, text in catalog.broken.items()]
        return found

    results = asyncio.run(look())
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(one) for one in results], indent=2))
    else:
        for one in results:
            _print_check(one)
    if any(one.problems for one in results):
        sys.exit(1)


def _list_entries(
    text: str, flags: dict[str, Any], *, as_json: bool, show_all: bool, refresh: bool
) -> None:
    from localai.gallery import search as find
    from localai.gallery.shown import entry_json

    settings = settings_table.load(flags)
    supply = _supply(settings)
    listing = _run(lambda: supply.galleries.listing(refresh=refresh), supply)
    installed = _library(settings).catalog()
    galleries = {one.name: one for one in supply.galleries.galleries}
    entries = find(listing.entries, text)
    shown = [one for one in entries if show_all or supply.galleries.runs(one)]
    if as_json:
        rows = [
            entry_json(
                one, galleries.get(one.gallery), is_installed=one.name in installed.specs,
                runs_here=supply.galleries.runs(one),
            )
            for one in shown
        ]  # fmt: skip
        click.echo(json.dumps(rows, indent=2))
    elif shown:
        _print_entries(shown, installed)
    for problem in listing.problems:
        click.echo(problem, err=True)
    if not as_json:
        hidden = len(entries) - len(shown)
        if hidden:
            click.echo(f"{hidden} more need engines that this server does not have: --all shows them.", err=True)  # fmt: skip
        elif not shown:
            click.echo("No model of the galleries fits these words: try fewer, or `local-ai models available` for all.", err=True)  # fmt: skip
    if text and not shown:
        sys.exit(1)


def _print_entries(entries: list[Entry], installed: Catalog) -> None:
    from rich.console import Console
    from rich.table import Table

    from localai.gallery.shown import memory_of

    table = Table("", "NAME", "SIZE", "MEMORY", "LICENSE", "GALLERY", "DESCRIPTION", box=None, pad_edge=False)  # fmt: skip
    for column in table.columns[1:6]:
        column.no_wrap = True
    for entry in entries:
        first = entry.description.partition("\n")[0]
        table.add_row(
            "*" if entry.name in installed.specs else "",
            entry.name,
            size_text(entry.size_bytes),
            size_text(memory_of(entry)),
            entry.license or "-",
            entry.gallery,
            first if len(first) <= _LONGEST else f"{first[: _LONGEST - 3]}...",
        )
    console = Console()
    console.print(table) if console.is_terminal else _print_plain(table)


def _print_plain(table: Any) -> None:
    """A table whose rows are never cut, for programs that read it."""
    from rich.console import Console

    Console(width=10_000, soft_wrap=True).print(table)


async def _described(entry: Entry, supply: ModelSupply) -> dict[str, Any]:
    """An entry, with the build that would be installed here and why."""
    from localai.domain.errors import LocalAIError
    from localai.gallery.shown import entry_json

    galleries = {one.name: one for one in supply.galleries.galleries}
    said = entry_json(
        entry, galleries.get(entry.gallery), is_installed=False, runs_here=supply.galleries.runs(entry)
    )  # fmt: skip
    try:
        plan = await supply.planner.of_entry(entry)
    except LocalAIError as error:
        return {**said, "here": error.sentence}
    return {
        **said,
        "backend": plan.backend or said["backend"],
        "here": f"installs {plan.uri}. {plan.why}".strip(),
        "install": f"local-ai models install {entry.entry_id}",
    }


def _planned(plan: ModelPlan) -> dict[str, Any]:
    """What installing from a source would bring, and why."""
    return {
        "name": plan.name,
        "id": plan.uri,
        "backend": plan.backend,
        "size_bytes": plan.size_bytes or 0,
        "files": [
            {"filename": file.name, "uri": file.address, "sha256": file.sha256}
            for file in plan.files
        ],
        "here": plan.why,
    }


def _shown(title: str, value: Any) -> str:
    if title.endswith("_bytes"):
        return size_text(value)
    if title == "gallery":
        return str(value["name"])
    if title == "files":
        return ", ".join(file["filename"] for file in value)
    if isinstance(value, dict):
        return ", ".join(f"{key} {item}" for key, item in value.items() if item not in (None, ""))
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return str(value).strip()


def _print_check(one: Inspection) -> None:
    verdict = "has problems" if one.problems else "works with"
    click.echo(f"{one.name}: {verdict} {one.engine}".rstrip())
    if one.why:
        click.echo(f"  engine   {one.engine}, because {one.why}")
    if one.memory_bytes:
        click.echo(
            f"  memory   about {size_text(one.memory_bytes)} with {one.parallel} x {one.context_size} tokens of context"
        )
    for problem in one.problems:
        click.echo(f"  problem  {problem}")


def size_text(size_bytes: int | None) -> str:
    """A size for people; a dash when it is unknown."""
    if not size_bytes:
        return "-"
    return f"{size_bytes / 1e9:.1f} GB" if size_bytes >= 1e9 else f"{size_bytes / 1e6:.0f} MB"  # noqa: PLR2004


def _library(settings: settings_table.ServerSettings) -> Library:
    from localai.assemble import engine_stock, model_library

    return model_library(settings, engine_stock(settings))


def _supply(settings: settings_table.ServerSettings) -> ModelSupply:
    from localai.assemble import engine_stock, model_supply

    return model_supply(settings, engine_stock(settings), may_read_files=True)


def _run(work: Callable[[], Awaitable[Any]], supply: ModelSupply) -> Any:
    """Run `work`, and close what it opened."""

    async def all_of_it() -> Any:
        try:
            return await work()
        finally:
            await supply.close()

    return asyncio.run(all_of_it())
