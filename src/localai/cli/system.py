"""`local-ai system`: what a report of a fault needs."""

from __future__ import annotations

import json
from typing import Any

import click

from localai import settings as settings_table
from localai.cli.options import setting_options


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@setting_options(["models_path", "models_config_file", "data_path", "backends_path"])
def command(*, as_json: bool, **flags: Any) -> None:
    """Show what a report of a fault needs: this machine, the engines, the models, the versions.

    A running server tells its loaded models at GET /system.
    """
    from localai.assemble import engine_stock, model_library
    from localai.inference.system_report import system_report

    settings = settings_table.load(flags)
    stock = engine_stock(settings)
    report = system_report(stock, model_library(settings, stock), settings.models_path)
    if as_json:
        click.echo(json.dumps(report, indent=2))
        return
    for title, text in _rows(report):
        click.echo(f"{title:<13} {text}")


def _rows(report: dict[str, Any]) -> list[tuple[str, str]]:
    packages = ", ".join(f"{name} {version}" for name, version in report["packages"].items())
    found = "; ".join(f"{one['variant']}: {one['why']}" for one in report["accelerators"])
    return [
        ("local-ai", f"{report['version']}, Python {report['python']}"),
        ("system", report["platform"]),
        ("processor", f"{report['processor']}, {report['cores']} cores may be used"),
        ("memory", f"{_gb(report['available_memory_bytes'])} of {_gb(report['memory_bytes'])} free"),
        ("accelerators", found or "none found"),
        *(("GPU", f"{one['name']}, {_gb(one['free_bytes'])} of {_gb(one['memory_bytes'])} free") for one in report["gpus"]),
        ("packages", packages),
        *(("engine", _engine(one)) for one in report["engines"]),
        ("models", f"{report['models']} in {report['models_path']}, {_gb(report['models_disk_free_bytes'])} free there"),
        *(("problem", text) for text in report["model_problems"]),
    ]  # fmt: skip


def _engine(engine: dict[str, Any]) -> str:
    if engine["is_bundled"]:
        return f"{engine['name']} (with the server)"
    builds = ", ".join(
        one["variant"] + (" (an upgrade is there)" if one["is_outdated"] else "")
        for one in engine["environments"]
    )
    return f"{engine['name']} ({builds})"


def _gb(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:.1f} GB" if size_bytes else "an unknown amount"
