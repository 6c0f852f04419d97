"""`local-ai models`: what is installed here, and what can be."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from localai import settings as settings_table
from localai.cli import model_install, model_search, model_upkeep
from localai.cli.options import setting_options

if TYPE_CHECKING:
    from localai.catalog.spec import ModelSpec


@click.group()
def command() -> None:
    """List the models of this machine, and find more."""


for _command in (
    model_install.install,
    model_search.available,
    model_search.search,
    model_search.info,
    model_search.check,
    model_upkeep.uninstall,
    model_upkeep.import_model,
    model_upkeep.export_model,
    model_upkeep.verify,
    model_upkeep.prune,
):
    command.add_command(_command)


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@setting_options(["models_path", "models_config_file"])
def list_models(*, as_json: bool, **flags: Any) -> None:
    """List the installed models, and what is wrong with model files."""
    from localai.assemble import model_folder

    catalog = model_folder(settings_table.load(flags)).catalog()
    rows = [_row(spec) for spec in catalog.specs.values()]
    if as_json:
        click.echo(
            json.dumps(
                {"models": rows, "problems": catalog.problems, "warnings": catalog.warnings},
                indent=2,
            )
        )
    else:
        _print_table(rows)
    for text in (*catalog.problems, *catalog.warnings):
        click.echo(text, err=True)
    if catalog.problems:
        sys.exit(1)


def _row(spec: ModelSpec) -> dict[str, Any]:
    size = spec.model_path.stat().st_size if spec.model_path and spec.model_path.is_file() else None
    return {
        "name": spec.name,
        "backend": spec.backend,
        "alias": spec.alias,
        "file": str(spec.model_path) if spec.model_path else None,
        "size_bytes": size,
        "defined_in": spec.origin or None,
        "disabled": spec.disabled,
        "is_demonstration": spec.is_starter,
    }


def _print_table(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("NAME", "SIZE", "BACKEND", "FROM", box=None, pad_edge=False)
    for row in rows:
        notes = (
            " (demonstration)"
            if row["is_demonstration"]
            else " (disabled)"
            if row["disabled"]
            else ""
        )
        source = (
            f"alias of {row['alias']}" if row["alias"] else row["defined_in"] or row["file"] or ""
        )
        table.add_row(
            row["name"] + notes,
            model_search.size_text(row["size_bytes"]),
            row["backend"] or "",
            source,
        )
    Console().print(table)
