"""`local-ai backends`: the engines of this machine, and installing them."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from localai import settings as settings_table
from localai.cli.options import setting_options

if TYPE_CHECKING:
    from rich.table import Table

    from localai.domain.jobs import Step
    from localai.engines.plan import InstallPlan
    from localai.engines.stock import Shelf, Stock

_PLACE = ["data_path", "backends_path"]


@click.group()
def command() -> None:
    """List the engines of this machine, install and remove them."""


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@setting_options(_PLACE)
def list_installed(*, as_json: bool, **flags: Any) -> None:
    """List the engines that are installed."""
    shelves = [shelf for shelf in _stock(flags).shelves() if shelf.is_installed]
    if as_json:
        _print_json(shelves)
        return
    table = _table("NAME", "VARIANT", "SIZE", "TASKS")
    for shelf in shelves:
        size_bytes = sum(one.receipt.size_bytes for one in shelf.installed)
        variants = ", ".join(one.receipt.variant for one in shelf.installed)
        table.add_row(
            shelf.entry.name,
            "with the server" if shelf.entry.is_bundled else variants,
            _megabytes(size_bytes),
            ", ".join(shelf.entry.tasks) + (" (an upgrade is there)" if shelf.outdated else ""),
        )
    _show_table(table)


@command.command("available")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@setting_options(_PLACE)
def list_available(*, as_json: bool, **flags: Any) -> None:
    """List every engine there is; a * marks those that are installed."""
    shelves = list(_stock(flags).shelves())
    if as_json:
        _print_json(shelves)
        return
    table = _table("", "NAME", "DOWNLOAD", "SUMMARY")
    for shelf in shelves:
        variant = shelf.entry.variant("cpu") or next(iter(shelf.entry.variants), None)
        table.add_row(
            "*" if shelf.is_installed else "",
            shelf.entry.name,
            _megabytes(variant.download_bytes if variant else 0),
            shelf.entry.summary,
        )
    _show_table(table)


@command.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@setting_options(_PLACE)
def info(name: str, *, as_json: bool, **flags: Any) -> None:
    """Show everything about the engine NAME."""
    from localai.engines.stock import shelf_json

    stock = _stock(flags)
    shelf = stock.shelf(name)
    if as_json:
        click.echo(json.dumps(shelf_json(shelf), indent=2))
        return
    for title, text in _described(stock, shelf):
        click.echo(f"{title:<10} {text}")


@command.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--variant", help="Which build, for example cpu or cuda12. Default: what fits here.")
@click.option("--force", is_flag=True, help="Install anew what is installed already.")
@click.option(
    "--wheels",
    type=click.Path(path_type=Path),
    help="A folder with wheel files, to install without a network.",
)
@setting_options(_PLACE)
def install(
    names: tuple[str, ...], *, variant: str | None, force: bool, wheels: Path | None, **flags: Any
) -> None:
    """Install engines, each into an environment of its own."""
    stock = _stock(flags)
    for plan in [stock.plan(name, variant=variant, wheels=wheels) for name in names]:
        install_engine(stock, plan, force=force)


@command.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "--wheels",
    type=click.Path(path_type=Path),
    help="A folder with wheel files, to upgrade without a network.",
)
@setting_options(_PLACE)
def upgrade(names: tuple[str, ...], *, wheels: Path | None, **flags: Any) -> None:
    """Bring engines to the versions this server pins: those named, or all that are behind."""
    stock = _stock(flags)
    shelves = [stock.shelf(name) for name in names] if names else list(stock.shelves())
    behind = [(shelf.entry.name, variant) for shelf in shelves for variant in shelf.outdated]
    if not behind:
        click.echo("Everything installed is what this version pins.", err=True)
    for name, variant in behind:
        install_engine(stock, stock.plan(name, variant=variant, wheels=wheels), force=False)


@command.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--variant", help="Only this build.")
@setting_options(_PLACE)
def uninstall(names: tuple[str, ...], *, variant: str | None, **flags: Any) -> None:
    """Remove engines and their environments."""
    stock = _stock(flags)
    for name in names:
        for removed in asyncio.run(stock.uninstall(name, variant=variant)):
            click.echo(f"{name} ({removed}) is removed.", err=True)


@command.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@setting_options(_PLACE)
def check(names: tuple[str, ...], *, as_json: bool, **flags: Any) -> None:
    """Import installed engines in their environments, and say what is wrong."""
    from localai.domain.errors import LocalAIError

    stock = _stock(flags)
    wanted = names or tuple(shelf.entry.name for shelf in stock.shelves() if shelf.installed)
    results: dict[str, dict[str, Any]] = {}
    for name in wanted:
        began_s = time.monotonic()
        try:
            able = asyncio.run(stock.check(name))
            results[name] = {"ok": True, "packages": able.packages if able else {}}
        except LocalAIError as error:
            results[name] = {"ok": False, "error": error.message, "hint": error.hint}
        results[name]["seconds"] = round(time.monotonic() - began_s, 1)
    if as_json:
        click.echo(json.dumps(results, indent=2))
    for name, result in results.items() if not as_json else ():
        said = "works" if result["ok"] else f"{result['error']} {result['hint']}".strip()
        click.echo(f"{name}: {said} ({result['seconds']} s)")
    if not all(result["ok"] for result in results.values()):
        sys.exit(1)


def _stock(flags: dict[str, Any]) -> Stock:
    from localai.assemble import engine_stock

    return engine_stock(settings_table.load(flags))


def install_engine(stock: Stock, plan: InstallPlan, *, force: bool) -> None:
    """Say what is going to happen, then do it and show how far it is."""
    entry, variant = plan.entry, plan.variant
    click.echo(f"{entry.name}: {entry.summary}", err=True)
    license_text = entry.license or "not stated"
    if entry.is_copyleft:
        license_text += "; it runs as a program of its own, and this package stays as it is"
    click.echo(f"  license: {license_text}", err=True)
    click.echo(f"  variant: {variant.name}, because {plan.why}", err=True)
    if variant.download_bytes or variant.disk_bytes:
        sizes = f"about {variant.download_bytes / 1e6:.0f} MB to download, {variant.disk_bytes / 1e6:.0f} MB on the disk"
        click.echo(f"  size:    {sizes}", err=True)
    began_s = time.monotonic()
    asyncio.run(_show(stock, plan, force=force))
    click.echo(f"{entry.name} is installed ({time.monotonic() - began_s:.0f} s).", err=True)


async def _show(stock: Stock, plan: InstallPlan, *, force: bool) -> None:
    from rich.console import Console

    console = Console(stderr=True)
    async with aclosing(stock.install(plan, force=force)) as steps:
        if console.is_terminal:
            await _show_bar(console, plan.entry.name, steps)
            return
        said = ""
        async for step in steps:
            if step.text != said:
                said = step.text
                click.echo(f"  {_amount(step)}{said}", err=True)


async def _show_bar(console: Any, name: str, steps: Any) -> None:
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.fields[name]}"), BarColumn(), DownloadColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))  # fmt: skip
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("starting", name=name, total=None)
        async for step in steps:
            progress.update(
                task,
                description=step.text,
                completed=step.done_bytes,
                total=step.total_bytes or None,
            )


def _amount(step: Step) -> str:
    """How far the download is; nothing before it begins, or where all was there already."""
    if not (step.done_bytes and step.total_bytes):
        return ""
    return f"[{step.done_bytes / 1e6:.0f} of {step.total_bytes / 1e6:.0f} MB] "


def _print_json(shelves: list[Shelf]) -> None:
    from localai.engines.stock import shelf_json

    click.echo(json.dumps([shelf_json(shelf) for shelf in shelves], indent=2))


def _table(*titles: str) -> Table:
    """A table whose last column alone is wrapped: names are there to be typed."""
    from rich.table import Table

    table = Table(*titles, box=None, pad_edge=False)
    for column in table.columns[:-1]:
        column.no_wrap = True
    return table


def _show_table(table: Table) -> None:
    """Print it; for a program that reads it, no row is cut."""
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console = Console(width=10_000, soft_wrap=True)
    console.print(table)


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.0f} MB" if size_bytes else "-"


def _described(stock: Stock, shelf: Shelf) -> list[tuple[str, str]]:
    from localai.domain.errors import LocalAIError

    entry = shelf.entry
    rows = [
        ("name", ", ".join((entry.name, *entry.aliases))),
        ("summary", entry.summary),
        ("tasks", ", ".join(entry.tasks)),
        ("license", entry.license or "not stated"),
        ("home", entry.url or "-"),
    ]
    if entry.is_bundled:
        return [*rows, ("installed", "with the server")]
    rows.append(("variants", ", ".join(variant.name for variant in entry.variants)))
    rows += [
        (
            "installed",
            f"{one.receipt.variant}, {one.receipt.size_bytes / 1e6:.0f} MB in {one.folder}",
        )
        for one in shelf.installed
    ] or [("installed", f"no; local-ai backends install {entry.name}")]
    if entry.system_packages:
        rows.append(("needs", f"of the system: {', '.join(entry.system_packages)}"))
    if entry.notes:
        rows.append(("notes", entry.notes))
    try:
        plan = stock.plan(entry.name)
    except LocalAIError as error:
        return [*rows, ("here", error.message)]
    return [*rows, ("here", f"{plan.variant.name}, because {plan.why}")]
