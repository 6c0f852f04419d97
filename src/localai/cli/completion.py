"""`local-ai completion`: the script that teaches a shell our commands, and names to complete."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

VARIABLE = "_LOCAL_AI_COMPLETE"


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the script that completes commands in a shell, with options and names of models.

    Put it where the shell reads it at its start: `local-ai completion bash >> ~/.bashrc`, `local-ai
    completion zsh >> ~/.zshrc`, `local-ai completion fish > ~/.config/fish/completions/local-ai.fish`.
    """
    from click.shell_completion import get_completion_class

    from localai.cli.main import group

    completion = get_completion_class(shell)
    assert completion is not None
    with contextlib.suppress(RuntimeError):  # bash is old, or not here: what runs it decides
        click.echo(completion(group, {}, "local-ai", VARIABLE).source())


def complete_models(
    context: click.Context,
    parameter: click.Parameter,  # noqa: ARG001 - click's signature
    incomplete: str,
) -> list[CompletionItem]:
    """The installed models whose name begins with what is written."""
    from click.shell_completion import CompletionItem as Item

    from localai import settings as settings_table
    from localai.catalog.folder import ModelFolder
    from localai.domain.errors import LocalAIError

    try:
        settings = settings_table.load({"models_path": context.params.get("models_path")})
    except LocalAIError:
        return []
    names = ModelFolder(settings.models_path).catalog().specs
    return [Item(name) for name in names if name.startswith(incomplete)]


def complete_installable(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """The installed models, and those of the list that comes with the package; nobody is asked."""
    from click.shell_completion import CompletionItem as Item

    from localai.gallery.galleries import PACKAGED
    from localai.gallery.index import read_index
    from localai.gallery.places import OWN

    installed = complete_models(context, parameter, incomplete)
    known = {item.value for item in installed}
    listed = (entry.name for entry in read_index(PACKAGED.read_bytes(), gallery=OWN).entries)
    return installed + [
        Item(name) for name in listed if name.startswith(incomplete) and name not in known
    ]
