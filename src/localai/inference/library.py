"""The models of this server, found by name and completed for this machine."""

from __future__ import annotations

import asyncio
import difflib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from localai.catalog.defaults import AppDefaults, complete
from localai.catalog.gguf import GgufFacts, read_gguf
from localai.catalog.resolve import resolve
from localai.domain.errors import ModelFileInvalid, ModelNotFound
from localai.observe.log import logger
from localai.supervisor import manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from localai.catalog.folder import ModelFolder
    from localai.catalog.spec import Catalog, ModelSpec
    from localai.hardware import Hardware

_log = logger(__name__)
_NO_GGUF_BACKENDS = frozenset({"echo"})


class Library:
    """Finds models. Specs are completed once per revision, off the event loop."""

    def __init__(
        self,
        folder: ModelFolder,
        probe: Callable[[], Hardware],
        app: AppDefaults,
        engine_defaults: Mapping[str, Any],
    ) -> None:
        self._folder = folder
        self._probe = probe
        self._app = app
        self._engine_defaults = engine_defaults  # settings below those of every model file
        self._completed: dict[str, ModelSpec] = {}
        self._facts: dict[str, tuple[str, GgufFacts]] = {}
        self._reported: frozenset[str] = frozenset()

    def catalog(self) -> Catalog:
        """All models at this moment. New problems in model files are logged once."""
        catalog = self._folder.catalog()
        seen = frozenset(catalog.problems + catalog.warnings)
        if seen is not self._reported and seen != self._reported:
            for problem in catalog.problems:
                if problem not in self._reported:
                    _log.error("%s", problem)
            for warning in catalog.warnings:
                if warning not in self._reported:
                    _log.warning("%s", warning)
            self._reported = seen
        return catalog

    def find(self, name: str, *, hint: str = "") -> ModelSpec:
        """The model `name` means. `hint` is a second guess, used when `name` is empty.

        Raises ModelNotFound, ModelDisabled.
        """
        return resolve(name, self.catalog(), hint=hint)

    def find_listed(self, name: str) -> ModelSpec:
        """The model of exactly that name. Raises ModelNotFound."""
        catalog = self.catalog()
        plain = name.removesuffix(":latest")
        spec = next(
            (
                catalog.specs[known]
                for written in (name, plain)
                for known in (written, catalog.file_names.get(written, ""))
                if known in catalog.specs
            ),
            None,
        )
        if spec is None:
            near = difflib.get_close_matches(name, list(catalog.specs), n=3)
            raise ModelNotFound(name, near=tuple(near))
        return spec

    async def facts(self, spec: ModelSpec) -> GgufFacts | None:
        """What the weights say of themselves; None for a model without a GGUF file.

        Raises ModelFileInvalid.
        """
        known = self._facts.get(spec.name)
        if known is not None and known[0] == spec.revision:
            return known[1]
        if spec.model_path is None or not spec.model_path.is_file():
            return None
        found = await asyncio.to_thread(read_gguf, spec.model_path)
        self._facts[spec.name] = (spec.revision, found)
        return found

    async def prepare(self, spec: ModelSpec, *, backend: str | None = None) -> ModelSpec:
        """`spec` without gaps; `backend` is the engine a request wants instead of the model's own.

        Raises ModelFileInvalid when its weights cannot be used, BackendNotInstalled.
        """
        completed = self._completed.get(spec.name)
        if completed is None or completed.revision != spec.revision:
            completed = await asyncio.to_thread(self._complete, spec)
            self._completed[spec.name] = completed
        if backend and manifest.find(backend) != manifest.find(completed.backend or ""):
            other = manifest.find(backend).name
            return replace(completed, name=f"{completed.name}@{other}", backend=other)
        return completed

    def _complete(self, spec: ModelSpec) -> ModelSpec:
        if spec.backend in _NO_GGUF_BACKENDS:
            return spec
        if spec.backend:
            manifest.find(spec.backend)  # raises BackendNotInstalled, before its files are missed
        if spec.model_path is None:
            raise ModelNotFound(spec.name)
        if not spec.model_path.is_file():
            message = f"The weights of the model {spec.name!r} are not there: {spec.model_path}."
            hint = f"Put the file there, or correct `parameters.model` in {spec.origin or 'its model file'}."
            raise ModelFileInvalid(message, path=str(spec.model_path), hint=hint)
        with_engine = replace(spec, settings={**self._engine_defaults, **spec.settings})
        return complete(with_engine, read_gguf(spec.model_path), self._probe(), **self._app)
