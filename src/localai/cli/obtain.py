"""Having a model that is asked for by name: found, downloaded, verified, with its engine."""

from __future__ import annotations

import asyncio
import sys
from contextlib import aclosing
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from localai.domain.downloads import ModelPlan, WantedFile
    from localai.domain.jobs import Step
    from localai.gallery.wishes import Wish
    from localai.settings import ServerSettings

_STEPS_TOLD = 10  # where nobody watches a bar


def obtain(
    settings: ServerSettings, written: str, *, yes: bool = False, with_engine: bool = True
) -> str:
    """Give the name of the model that `written` means, after installing it where it is not.

    Its engine is installed, too: when the person at the terminal agrees, or with `yes`. Raises
    EntryNotFound with near names, and whatever planning and installing raise.
    """
    from localai.assemble import engine_stock, model_library
    from localai.domain.errors import ModelNotFound
    from localai.downloads.receipts import finish_placing

    finish_placing(settings.models_path)  # what an install that was killed had verified already
    library = model_library(settings, engine_stock(settings))
    try:
        name = library.find_listed(written).name
        wanting = library.wanting(name)
        if wanting is not None:
            asyncio.run(_complete(settings, wanting.name, library.missing_files(wanting)))
    except ModelNotFound as missing:
        near = missing.fields["near"]
        name = asyncio.run(_install(settings, written, near=tuple(near)))
    if with_engine:
        offer_engine(settings, name, yes=yes)
    return name


def preload(settings: ServerSettings, *, yes: bool = False) -> None:
    """Install what PRELOAD_MODELS and PRELOAD_MODELS_CONFIG name, where it is not there.

    Raises SettingInvalid for lists that cannot be read, and whatever planning and installing raise.
    """
    from localai.assemble import engine_stock, model_library
    from localai.gallery.wishes import read_wishes

    listed = settings.preload_models_config
    wishes = read_wishes(settings.preload_models, listed)
    if not wishes:
        return
    installed = model_library(settings, engine_stock(settings)).catalog()
    for wish in wishes:
        name = wish.called
        if name not in installed.specs and name not in installed.file_names:
            name = asyncio.run(_fulfil(settings, wish))
        offer_engine(settings, name, yes=yes)


async def _complete(settings: ServerSettings, name: str, wanted: Sequence[WantedFile]) -> None:
    """Fetch files that the model file of `name` names, and show how far it is."""
    from localai.assemble import engine_stock, model_installer, model_supply

    supply = model_supply(settings, engine_stock(settings), may_read_files=True)
    try:
        plan = await supply.planner.of_wanted(name, wanted)
        _tell(plan)
        await show_steps(name, model_installer(settings, supply).install(plan))
    finally:
        await supply.close()


async def _install(settings: ServerSettings, written: str, *, near: tuple[str, ...]) -> str:
    """Plan and install a model; gives its name. `near` are names that are installed."""
    from localai.domain.source_errors import EntryNotFound
    from localai.gallery.wishes import Wish

    try:
        return await _fulfil(settings, Wish(entry_id=written))
    except EntryNotFound as error:
        found = dict.fromkeys((*near, *error.fields["near"]))
        problems = tuple(error.fields["problems"])
        raise EntryNotFound(written, near=tuple(found), problems=problems) from None


def install(settings: ServerSettings, wish: Wish, *, force: bool, yes: bool) -> str:
    """Install what is wished for, whether it is there or not, and its engine; gives its name."""
    name = asyncio.run(_fulfil(settings, wish, force=force))
    offer_engine(settings, name, yes=yes)
    return name


async def _fulfil(settings: ServerSettings, wish: Wish, *, force: bool = False) -> str:
    """Install what is wished for, and show how far it is; gives the model's name."""
    from localai.assemble import engine_stock, model_installer, model_supply

    supply = model_supply(settings, engine_stock(settings), may_read_files=True)
    try:
        plan = await wish.plan(supply.planner)
        _tell(plan)
        await show_steps(plan.name, model_installer(settings, supply).install(plan, force=force))
        click.echo(f"{plan.name} is installed.", err=True)
        return plan.name
    except asyncio.CancelledError:
        click.echo("\nStopped. What came is kept: the same command goes on there.", err=True)
        raise
    finally:
        await supply.close()


def offer_engine(settings: ServerSettings, name: str, *, yes: bool = False) -> None:
    """Install the engine of an installed model, when it is not there and that is wanted."""
    from localai.assemble import engine_stock, model_library
    from localai.cli.backends import install_engine
    from localai.domain.errors import LocalAIError

    stock = engine_stock(settings)
    library = model_library(settings, stock)
    try:
        choice = library.engine(library.find_listed(name))
    except LocalAIError:
        return  # loading it tells what is wrong
    if choice.entry is None or library.has_engine(choice):
        return
    plan = stock.plan(choice.entry.name)
    if not (yes or settings.autoload_backends):
        size = (
            f" ({plan.variant.download_bytes / 1e6:.0f} MB)" if plan.variant.download_bytes else ""
        )
        question = f"{name} needs the engine {choice.entry.name!r}, which is not installed. Install it{size}?"
        if not sys.stdin.isatty():
            click.echo(f"{name} needs an engine: local-ai backends install {choice.entry.name}", err=True)  # fmt: skip
            return
        if not click.confirm(question, default=True, err=True):
            return
    install_engine(stock, plan, force=False)


async def show_steps(name: str, steps: AsyncGenerator[Step, None]) -> None:
    """Do the steps of an install, and show how far they are: a bar in a terminal, else lines."""
    from rich.console import Console

    console = Console(stderr=True)
    async with aclosing(steps):
        if console.is_terminal:
            await _show_bar(console, name, steps)
        else:
            await _show_lines(steps)


async def _show_bar(console: object, name: str, steps: AsyncGenerator[Step, None]) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    assert isinstance(console, Console)
    columns = (
        TextColumn("{task.fields[name]}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(),
        TextColumn("{task.fields[left]}"), TextColumn("{task.description}"),
    )  # fmt: skip
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("starting", name=name, left="", total=None)
        async for step in steps:
            progress.update(
                task,
                description=step.text,
                completed=step.done_bytes,
                total=step.total_bytes or None,
                left=_left(step),
            )


async def _show_lines(steps: AsyncGenerator[Step, None]) -> None:
    from localai.gallery.fit import size_text

    told = ("", -1)
    async for step in steps:
        share = _STEPS_TOLD * step.done_bytes // step.total_bytes if step.total_bytes else 0
        if (step.text, share) != told:
            told = (step.text, share)
            amount = f"{size_text(step.done_bytes)} of {size_text(step.total_bytes)}, " if step.total_bytes else ""  # fmt: skip
            click.echo(f"  {amount}{step.text}", err=True)


def _left(step: Step) -> str:
    """The time that is left, for people."""
    if step.left_s is None:
        return ""
    minutes, seconds = divmod(round(step.left_s), 60)
    return f"{minutes}:{seconds:02d} left"


def _tell(plan: ModelPlan) -> None:
    """Say what is going to be installed, and why just that."""
    from localai.gallery.fit import size_text

    click.echo(f"{plan.name}: from {plan.uri}", err=True)
    if plan.why:
        click.echo(f"  build:   {plan.why}", err=True)
    size = plan.size_bytes
    count = f"{len(plan.files)} files" if len(plan.files) != 1 else "1 file"
    click.echo(f"  files:   {count}{f', {size_text(size)}' if size else ''}", err=True)
