"""`local-ai models install`: bringing models and their engines here."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from localai import settings as settings_table
from localai.cli.completion import complete_installable
from localai.cli.options import setting_options

if TYPE_CHECKING:
    from localai.settings import ServerSettings

SETTINGS = (
    "models_path", "models_config_file", "data_path", "backends_path", "galleries", "autoload_backends",
    "allow_private_fetch",
)  # fmt: skip


@click.command("install")
@click.argument(
    "names", nargs=-1, required=True, metavar="NAME...", shell_complete=complete_installable
)
@click.option("--name", "called", default="", help="What to call the model; for one NAME.")
@click.option("--variant", default="", help="The build to take, by its name or its quantization. Default: what fits here.")  # fmt: skip
@click.option("--force", is_flag=True, help="Replace what is there, also when it is newer or another one.")  # fmt: skip
@click.option("-y", "--yes", is_flag=True, help="Install the engines that the models need, without asking.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print what was installed as JSON.")
@setting_options(SETTINGS)
def install(
    names: tuple[str, ...],
    *,
    called: str,
    variant: str,
    force: bool,
    yes: bool,
    as_json: bool,
    **flags: Any,
) -> None:
    """Download, verify and set up models.

    NAME is an entry of a gallery (`name` or `gallery@name`), or where the files are:
    owner/repository or owner/repository/file on Hugging Face, ollama://model:tag, oci://...,
    github:..., https://..., a path. Stopped, it goes on there the next time.
    """
    from localai.cli.obtain import install as install_one
    from localai.gallery.wishes import Wish

    if called and len(names) > 1:
        raise click.UsageError("--name is what one model is called; name one.")
    settings = settings_table.load(flags)
    done: list[str] = []
    for written in names:
        wish = Wish(entry_id=written, name=called, variant=variant)
        done.append(install_one(settings, wish, force=force, yes=yes))
        if not as_json:
            click.echo(done[-1])
    if as_json:
        click.echo(json.dumps([_receipt(settings, name) for name in done], indent=2))


def _receipt(settings: ServerSettings, name: str) -> Any:
    """What an install left behind: where it came from, why this build, its files and their sums."""
    import msgspec

    from localai.downloads.receipts import Receipts

    receipt = Receipts(settings.models_path).read(name)
    return msgspec.to_builtins(receipt) if receipt else {"name": name}
