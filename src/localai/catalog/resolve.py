"""Which model a request means, by the name it gives."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from typing import Final

from localai.catalog.spec import Catalog, ModelSpec
from localai.domain.errors import InvalidRequest, ModelDisabled, ModelNotFound, SpecInvalid

MOST_NEAR: Final = 3
MOST_COMPARED: Final = 2_000  # names; comparing is slow, and an error may not be
LONGEST_COMPARED: Final = 200


def can_chat(spec: ModelSpec) -> bool:
    """Whether a model is made for conversations, as far as its file says."""
    if spec.known_usecases:
        return "chat" in spec.known_usecases or "llm" in spec.known_usecases
    return not (spec.settings.get("embeddings") or spec.settings.get("reranking"))


def resolve(
    name: str,
    catalog: Catalog,
    *,
    hint: str = "",
    serves: Callable[[ModelSpec], bool] = lambda _: True,
    suits: Callable[[ModelSpec], bool] = can_chat,
) -> ModelSpec:
    """Give the model that a request means.

    In this order: the model of that name, the weights file of that name, and the only model that
    `serves` what is asked for, whatever it was called. A request without a name gets the model that
    `hint` (the bearer token) names exactly, else the only one, else the first by name that also
    `suits` it. Raises ModelNotFound, ModelDisabled, SpecInvalid (its file has problems) or
    InvalidRequest (an alias that leads nowhere).
    """
    asked = name.strip()
    spec = _named(asked, catalog) if asked else catalog.specs.get(hint)
    if spec is None and asked in catalog.broken:
        raise SpecInvalid(
            f"The file of the model {asked!r} has problems.",
            problems=catalog.broken[asked],
            hint=" ".join(catalog.broken[asked]),
        )
    if spec is None:
        choices = sorted(filter(serves, _choices(catalog)), key=lambda spec: spec.name)
        only = choices[0] if len(choices) == 1 else None
        spec = only if asked else next(filter(suits, choices), only)
    if spec is None:
        raise ModelNotFound(asked, near=_near(asked, catalog))
    return _usable(spec, catalog)


def _named(name: str, catalog: Catalog) -> ModelSpec | None:
    """Look a name up, also without the `:latest` that Ollama's clients add."""
    for written in (name, name.removesuffix(":latest")):
        known = written if written in catalog.specs else catalog.file_names.get(written)
        if known is not None:
            return catalog.specs.get(known)
    return None


def _usable(spec: ModelSpec, catalog: Catalog) -> ModelSpec:
    """Follow an alias one step, and refuse what is switched off."""
    if spec.disabled:
        raise ModelDisabled(spec.name)
    if spec.alias is None:
        return spec
    target = _named(spec.alias, catalog)
    if target is None or target.alias is not None:
        problem = "is not installed" if target is None else "is an alias itself"
        raise InvalidRequest(
            f"The model {spec.name!r} is an alias of {spec.alias!r}, which {problem}.",
            param="model",
            hint="Correct `alias` in its model file.",
        )
    if target.disabled:
        raise ModelDisabled(target.name)
    return target


def _choices(catalog: Catalog) -> list[ModelSpec]:
    return [spec for spec in catalog.specs.values() if not spec.disabled and spec.alias is None]


def _near(name: str, catalog: Catalog) -> tuple[str, ...]:
    names = _unique_by_case((*catalog.specs, *catalog.file_names))
    if not name:
        return ()
    near = difflib.get_close_matches(name[:LONGEST_COMPARED].lower(), names, n=MOST_NEAR)
    return tuple(names[low] for low in near)


def _unique_by_case(names: Iterable[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in names:
        if len(found) >= MOST_COMPARED:
            break
        found.setdefault(name.lower(), name)
    return found
