"""`local-ai models uninstall|import|export|verify|prune`: looking after what is installed."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from localai import settings as settings_table
from localai.cli.completion import complete_models
from localai.cli.options import setting_options

if TYPE_CHECKING:
    from localai.catalog.spec import Catalog
    from localai.downloads.removal import Removal

_PLACE = ["models_path", "models_config_file"]
_TAR = (".tar",)


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...", shell_complete=complete_models)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@setting_options(_PLACE)
def uninstall(names: tuple[str, ...], *, yes: bool, as_json: bool, **flags: Any) -> None:
    """Remove models with the files that are theirs alone."""
    from localai.downloads.removal import plan_removal, remove

    folder, catalog = _opened(flags)
    removals = [plan_removal(name, catalog, folder) for name in names]
    for removal in removals:
        _tell(removal, folder)
    if not yes and sys.stdin.isatty():
        click.confirm("Remove this?", abort=True, err=True)
    for removal in removals:
        remove(removal, folder)
        click.echo(f"{removal.name} is removed.", err=True)
    if as_json:
        click.echo(json.dumps([_json(removal, folder) for removal in removals], indent=2))


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=complete_models)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@setting_options(_PLACE)
def verify(names: tuple[str, ...], *, as_json: bool, **flags: Any) -> None:
    """Compare the files of installed models with what was verified when they came."""
    from localai.domain.errors import ModelNotFound
    from localai.downloads import upkeep
    from localai.downloads.receipts import Receipts

    folder, _ = _opened(flags)
    receipts = {receipt.name: receipt for receipt in Receipts(folder).all()}
    unknown = next((name for name in names if name not in receipts), None)
    if unknown is not None:
        raise ModelNotFound(unknown, near=tuple(receipts)[:3])
    results: dict[str, list[dict[str, str]]] = {}
    for name in names or receipts:
        found = list(upkeep.verify(receipts[name], folder))
        results[name] = [{"file": one.name, "problem": one.problem} for one in found]
        if not as_json:
            bad = [one for one in found if one.problem]
            click.echo(f"{name}: {'; '.join(f'{one.name} {one.problem}' for one in bad) or 'is as it was installed'}")  # fmt: skip
    if as_json:
        click.echo(json.dumps(results, indent=2))
    if any(one["problem"] for found in results.values() for one in found):
        click.echo("hint: `local-ai models install NAME` fetches what is wrong anew.", err=True)
        sys.exit(1)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@setting_options(_PLACE)
def prune(*, as_json: bool, **flags: Any) -> None:
    """Remove what is left of downloads that were given up."""
    from localai.downloads import upkeep

    folder, _ = _opened(flags)
    count, size = upkeep.prune(folder)
    if as_json:
        click.echo(json.dumps({"files": count, "bytes": size}))
    else:
        click.echo(f"{count} unfinished downloads were removed, {size / 1e6:.0f} MB.", err=True)


@click.command("export")
@click.argument("name", shell_complete=complete_models)
@click.argument("target", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@setting_options(_PLACE)
def export_model(name: str, target: Path, *, as_json: bool, **flags: Any) -> None:
    """Write the model NAME with all its files into the archive TARGET (.tar)."""
    from localai.downloads.archive import export
    from localai.downloads.receipts import Receipts
    from localai.downloads.removal import plan_removal

    folder, catalog = _opened(flags)
    parts = plan_removal(name, catalog, folder)
    contents = export(parts, Receipts(folder).read(parts.name), folder, target)
    size = sum(file.size_bytes for file in contents.files)
    if as_json:
        click.echo(json.dumps({"name": contents.name, "file": str(target), "bytes": size}))
    else:
        click.echo(f"{contents.name} is in {target} ({size / 1e6:.0f} MB).", err=True)


@click.command("import")
@click.argument("path", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@setting_options(_PLACE)
def import_model(path: Path, *, as_json: bool, **flags: Any) -> None:
    """Add the model in PATH: an exported archive (.tar), or a model file (.yaml)."""
    from localai.downloads.archive import import_archive
    from localai.downloads.model_files import write_model_file

    folder, _ = _opened(flags)
    if path.suffix.lower() in _TAR:
        name = import_archive(path, folder)
    else:
        name = write_model_file(path.read_text(), folder)[0].name
    if as_json:
        click.echo(json.dumps({"name": name}))
    else:
        click.echo(f"{name} is installed.", err=True)


def _opened(flags: dict[str, Any]) -> tuple[Path, Catalog]:
    """The models folder and what is in it."""
    from localai.assemble import model_folder

    folder = model_folder(settings_table.load(flags))
    return folder.path, folder.catalog()


def _tell(removal: Removal, folder: Path) -> None:
    click.echo(f"{removal.name}:", err=True)
    for path in (*removal.texts, *removal.files):
        click.echo(f"  removes {path.relative_to(folder)}", err=True)
    for path in removal.shared:
        click.echo(f"  keeps   {path.relative_to(folder)}, which another model uses", err=True)
    click.echo(f"  frees   {removal.size_bytes / 1e6:.0f} MB", err=True)


def _json(removal: Removal, folder: Path) -> dict[str, Any]:
    return {
        "name": removal.name,
        "removed": [str(path.relative_to(folder)) for path in (*removal.texts, *removal.files)],
        "kept": [str(path.relative_to(folder)) for path in removal.shared],
    }
