"""Loading models before they are asked for."""

from __future__ import annotations

from collections.abc import Callable

from localai.domain.errors import ModelNotFound
from localai.inference.library import Library
from localai.supervisor.pool import Pool


async def load_models(
    names: tuple[str, ...], *, library: Library, pool: Pool, report: Callable[[str, str], None]
) -> None:
    """Load each model of `names`, which must be installed under exactly that name.

    `report` gets the name and how it goes. Raises ModelNotFound and whatever loading raises.
    """
    for name in names:
        report(name, "loading")
        spec = library.find(name)
        catalog = library.catalog()
        known = (
            spec.name,
            *(alias for alias, target in catalog.file_names.items() if target == spec.name),
        )
        if name not in known and name not in catalog.specs:
            raise ModelNotFound(name, near=(spec.name,))
        facts = await pool.load(await library.prepare(spec))
        context = f"{facts.context_size} tokens of context, " if facts.context_size else ""
        report(name, f"ready, {context}device: {facts.device}")
