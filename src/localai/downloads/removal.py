"""Removing a model: what belongs to it, and to nobody else."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from localai.catalog.folder import FILE_SETTINGS
from localai.catalog.spec import Catalog, ModelSpec
from localai.domain.errors import InvalidRequest, ModelNotFound
from localai.downloads.names import HIDDEN, place
from localai.downloads.receipts import Receipt, Receipts

_DIGITS: Final = "0123456789"


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """What removing the model `name` takes away. `shared` files stay: other models use them."""

    name: str
    texts: tuple[Path, ...]
    files: tuple[Path, ...]
    shared: tuple[Path, ...] = ()

    @property
    def size_bytes(self) -> int:
        """What becomes free."""
        return sum(path.stat().st_size for path in self.files if path.is_file())


def plan_removal(name: str, catalog: Catalog, models_path: Path) -> Removal:
    """What removing `name` takes away: its model file, and files below the models folder.

    Raises ModelNotFound, and InvalidRequest for a model that lies elsewhere or shares its file.
    """
    receipts = Receipts(models_path)
    listed = next((one for one in (name, catalog.file_names.get(name, ""), name.removesuffix(":latest")) if one in catalog.specs), "")  # fmt: skip
    spec = catalog.specs.get(listed)
    receipt = _receipt(receipts, (name, listed))
    if spec is None and receipt is None:
        raise ModelNotFound(name)
    if spec is not None and spec.is_starter:
        raise InvalidRequest(
            f"{name!r} comes with the server and cannot be removed.",
            param="name",
            hint="It is not shown once there is another model.",
        )
    root = models_path.resolve()
    mine = set(_own(spec, receipt, models_path))
    others = set(_others(catalog, receipts, listed, receipt, models_path))
    inside = sorted(path for path in mine if path.parent.resolve().is_relative_to(root))
    return Removal(
        name=listed or name,
        texts=tuple(_texts(spec, receipt, catalog, models_path)),
        files=tuple(path for path in inside if path not in others),
        shared=tuple(path for path in inside if path in others),
    )


def remove(removal: Removal, models_path: Path) -> None:
    """Do it: the model file first, so that nobody sees half a model."""
    for path in (*removal.texts, *removal.files):
        path.unlink(missing_ok=True)
    receipts = Receipts(models_path)
    for receipt in tuple(receipts.all()):
        if receipt.name == removal.name or _is_gone(receipt, models_path):
            receipts.remove(receipt.name)
    for path in removal.files:
        for folder in path.parents:
            if folder == models_path or not folder.is_relative_to(models_path):
                break
            with contextlib.suppress(OSError):  # something else is in it
                folder.rmdir()


def left_over(older: Receipt, catalog: Catalog, models_path: Path) -> tuple[Path, ...]:
    """The files of a receipt that is not in force any more, but for those that others use."""
    receipts = Receipts(models_path)
    used = set(_others(catalog, receipts, "", older, models_path))
    used |= {models_path / file.name for receipt in receipts.all() for file in receipt.files}
    paths = (place(models_path, file.name) for file in older.files)
    return tuple(path for path in paths if path not in used)


def _receipt(receipts: Receipts, names: Iterable[str]) -> Receipt | None:
    for name in names:
        with contextlib.suppress(InvalidRequest):
            found = receipts.read(name) if name else None
            if found is not None:
                return found
    return next((one for one in receipts.all() if _names_loose(one, names)), None)


def _names_loose(receipt: Receipt, names: Iterable[str]) -> bool:
    """Whether a model without a model file is called by the name of its weights."""
    return not receipt.texts and any(
        file.name.rpartition("/")[2].removesuffix(".gguf") in names for file in receipt.files
    )


def _is_gone(receipt: Receipt, models_path: Path) -> bool:
    """Whether everything that a receipt names is gone."""
    names = [*(file.name for file in receipt.files), *receipt.texts]
    return not any((models_path / name).exists() for name in names)


def _own(spec: ModelSpec | None, receipt: Receipt | None, models_path: Path) -> Iterator[Path]:
    if receipt is not None:
        yield from (place(models_path, file.name) for file in receipt.files)
    if spec is not None:
        yield from _files_of(spec)


def _files_of(spec: ModelSpec) -> Iterator[Path]:
    if spec.model_path is not None and spec.model_path.is_file():
        yield spec.model_path
    for key in FILE_SETTINGS:
        value = spec.settings.get(key, ())
        yield from (Path(one) for one in ([value] if isinstance(value, str) else value))


def _others(
    catalog: Catalog, receipts: Receipts, listed: str, own: Receipt | None, models_path: Path
) -> Iterator[Path]:
    """The files of all other models."""
    mine = {models_path / file.name for file in own.files} if own is not None else set()
    for spec in catalog.specs.values():
        if spec.name != listed and not (spec.is_loose_file and spec.model_path in mine):
            yield from _files_of(spec)
    for receipt in receipts.all():
        if own is None or receipt.name != own.name:
            yield from (models_path / file.name for file in receipt.files)


def _texts(
    spec: ModelSpec | None, receipt: Receipt | None, catalog: Catalog, models_path: Path
) -> Iterator[Path]:
    """The model file and templates, when they are this model's alone."""
    found = {place(models_path, name) for name in receipt.texts} if receipt is not None else set()
    if spec is not None and not spec.is_loose_file:
        path = _model_file(spec, models_path)
        beside = [one.name for one in catalog.specs.values() if one.name != spec.name and not one.is_loose_file and _model_file(one, models_path) == path]  # fmt: skip
        if beside:
            raise InvalidRequest(
                f"The model {spec.name!r} stands in {path} together with {beside[0]!r}.",
                param="name",
                hint="Take its entry out of that file by hand.",
            )
        if not path.resolve().is_relative_to(models_path.resolve()) or HIDDEN in path.parts:
            raise InvalidRequest(
                f"The model {spec.name!r} stands in {path}, outside the models folder.",
                param="name",
                hint="Take it out of that file by hand.",
            )
        found.add(path)
    yield from sorted(found)


def _model_file(spec: ModelSpec, models_path: Path) -> Path:
    """The file of an origin such as `a.yaml:3`."""
    name, _, line = spec.origin.rpartition(":")
    return models_path / (name if name and set(line) <= set(_DIGITS) else spec.origin)
