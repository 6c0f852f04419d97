"""From whatever a user calls a model to what installing it takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from localai.domain.downloads import Listing, ModelPlan, RemoteFile, WantedFile
from localai.domain.errors import InvalidRequest
from localai.domain.source_errors import SourceNotFound
from localai.downloads.names import model_file_name
from localai.gallery.entry import Entry
from localai.gallery.index import BadEntry, inline_entry
from localai.gallery.listing_plan import plan_listing
from localai.gallery.written_model import is_model_file, read_model_file
from localai.sources import is_written_as_source

if TYPE_CHECKING:
    from localai.gallery.entry import EntryPlan
    from localai.gallery.galleries import Galleries
    from localai.sources import Sources

_MODEL_FILE_BYTES: Final = 1_000_000


class Planner:
    """Names of galleries and of sources alike. `free_bytes` gives the memory that is free."""

    def __init__(
        self, galleries: Galleries, sources: Sources, free_bytes: Callable[[], int]
    ) -> None:
        self.galleries = galleries
        self._sources = sources
        self._free_bytes = free_bytes

    async def plan(
        self, written: str, *, name: str = "", variant: str = "",
        overrides: Mapping[str, Any] | None = None,
    ) -> ModelPlan:  # fmt: skip
        """What installing `written` takes: an entry's name, or where its files are.

        A gallery's entry wins over a repository of the same name. `name` is what to call the
        model, `variant` the build to take, `overrides` goes over its model file. Raises
        EntryNotFound, GalleryFailed, InvalidRequest, Unsupported, SourceNotFound,
        SourceForbidden, DownloadFailed.
        """
        if not is_written_as_source(written) or await self.galleries.knows(written):
            entry = await self.galleries.find(written)
            return await self.of_entry(entry, name=name, variant=variant, overrides=overrides)
        if is_model_file(written):
            return await self._of_model_file(written, name, overrides or {})
        listing = await self._with_description(await self._sources.look(written), written)
        return plan_listing(
            listing, self._free_bytes(), name=name, variant=variant, overrides=overrides
        )

    async def of_wanted(self, name: str, wanted: Sequence[WantedFile]) -> ModelPlan:
        """What fetching files takes that the model file of `name` names. Raises as `plan`."""
        files = [await self._file(one) for one in wanted]
        return ModelPlan(name=name, files=tuple(files), uri=wanted[0].uri)

    async def _of_model_file(
        self, written: str, name: str, overrides: Mapping[str, Any]
    ) -> ModelPlan:
        """A model file that lies elsewhere: LocalAI's form, or a base configuration of a gallery."""
        text = await self._sources.read(written, limit_bytes=_MODEL_FILE_BYTES)
        found = read_model_file(text, written, name, overrides)
        if found.entry is not None:
            return await self.of_request(found.entry, name=name, overrides=overrides)
        files = tuple([await self._file(one) for one in found.wanted])
        texts = {model_file_name(found.name): found.text}
        return ModelPlan(name=found.name, files=files, texts=texts, uri=written)

    async def _file(self, one: WantedFile) -> RemoteFile:
        return await self._sources.file(one.uri, name=one.name, sha256=one.sha256)

    async def of_entry(
        self, entry: Entry, *, name: str = "", variant: str = "",
        overrides: Mapping[str, Any] | None = None,
    ) -> ModelPlan:  # fmt: skip
        """What installing a gallery's entry takes. Raises as `plan`."""
        found = await self.galleries.plan(entry, overrides, name=name, variant=variant)
        return await self._resolved(found)

    async def of_request(
        self, body: Mapping[str, Any], *, name: str = "", overrides: Mapping[str, Any] | None = None
    ) -> ModelPlan:
        """What installing an entry takes that stands in a request itself. Raises as `plan`."""
        try:
            entry = inline_entry(body)
        except BadEntry as bad:
            raise InvalidRequest(f"The model in the request cannot be used: {bad}.") from None
        return await self.of_entry(entry, name=name or entry.name, overrides=overrides)

    async def _resolved(self, found: EntryPlan) -> ModelPlan:
        files = tuple(
            [await self._sources.file(one.uri, name=one.filename, sha256=one.sha256) for one in found.files]
        )  # fmt: skip
        sized = tuple(
            replace(file, size_bytes=one.size_bytes or file.size_bytes)
            for file, one in zip(files, found.files, strict=True)
        )
        texts = {f"{one.name.removesuffix('.tmpl')}.tmpl": one.content for one in found.templates}
        return ModelPlan(
            name=found.name,
            files=sized,
            texts={**texts, found.yaml_name: found.model_yaml},
            uri=found.entry_id,
            why=found.why,
            backend=found.backend,
        )

    async def _with_description(self, listing: Listing, written: str) -> Listing:
        """Add the description that lies beside a voice."""
        if not (listing.is_exact and written.lower().endswith(".onnx")):
            return listing
        with suppress(SourceNotFound):
            beside = await self._sources.look(f"{written}.json")
            first: RemoteFile = listing.files[0]
            described = replace(beside.files[0], name=f"{first.name}.json")
            return replace(listing, files=(first, described))
        return listing
