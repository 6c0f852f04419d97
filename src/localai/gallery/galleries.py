"""The galleries of this server: looking entries up, and planning what installing one takes."""

from __future__ import annotations

import asyncio
import difflib
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Final

import msgspec

from localai.domain.errors import FetchFailed, InvalidRequest, SettingInvalid, Unsupported
from localai.domain.source_errors import EntryNotFound, GalleryFailed
from localai.gallery.cache import FORMAT, Cache, Kept
from localai.gallery.entry import Entry, EntryPlan
from localai.gallery.index import BadIndex, Base, read_base, read_index
from localai.gallery.places import PACKAGE, Gallery, is_local, local_path, web_address
from localai.gallery.plan import choose, make_plan
from localai.hardware import Gpu

PACKAGED: Final = Path(str(resources.files("localai.gallery").joinpath("models.yaml")))
EXPIRY_S: Final = 6 * 3600.0  # how long an index counts as current
RETRY_AFTER_S: Final = 60.0  # how long a gallery that failed is left alone
MOST_NEAR: Final = 3

# Fetches an http(s) address. Raises FetchFailed.
Fetch = Callable[[str], Awaitable[bytes]]
# What all files of an entry weigh, in bytes; 0 when nobody says.
Measure = Callable[[Entry], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class Listing:
    """Every entry, the galleries in their order; `problems` are sentences about what is missing."""

    entries: tuple[Entry, ...]
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What galleries ask of the machine around them.

    `fetch` is the way out, None to stay offline. `free_bytes` gives the memory that is free, 0
    when unknown; `gpu` gives the GPU on which an engine computes, None where that is the processor.
    `runs` says whether this server has an engine of that name. `measure` asks where
    files lie what they weigh, for builds whose gallery does not say. `clock` counts seconds since
    1970.
    """

    fetch: Fetch | None
    free_bytes: Callable[[], int]
    runs: Callable[[str], bool]
    measure: Measure | None = None
    gpu: Callable[[str], Gpu | None] = lambda _: None
    clock: Callable[[], float] = time.time


class Galleries:
    """Several indexes as one. The first gallery that has a name decides what it means."""

    def __init__(
        self, galleries: tuple[Gallery, ...], cache: Cache, surroundings: Surroundings
    ) -> None:
        self.galleries = galleries
        self._cache = cache
        self._fetch = surroundings.fetch
        self._free_bytes = surroundings.free_bytes
        self._runs = surroundings.runs
        self._gpu = surroundings.gpu
        self._measure = surroundings.measure
        self._clock = surroundings.clock
        self._known: dict[str, Kept] = {}
        self._failed: dict[str, tuple[float, str]] = {}
        self._one_at_a_time = asyncio.Lock()

    def runs(self, entry: Entry) -> bool:
        """Whether this server can install and run an entry, as far as the index tells."""
        return not entry.archives and (not entry.backend or self._runs(entry.backend))

    async def listing(self, *, refresh: bool = False) -> Listing:
        """Every entry of every gallery. `refresh` fetches indexes that are still current, too.

        Never raises: what could not be read is in `problems`, and an older copy is used.
        """
        async with self._one_at_a_time:
            kept = [await self._index(gallery, refresh=refresh) for gallery in self.galleries]
        return Listing(
            entries=tuple(entry for one, _ in kept if one for entry in one.entries),
            problems=tuple(
                text for one, told in kept for text in (*told, *(one.problems if one else ()))
            ),
        )

    async def find(self, name: str) -> Entry:
        """The entry that `name` or `gallery@name` means, in any case.

        Raises EntryNotFound, with near names and with what kept galleries from being read.
        """
        found, listing = await self._look_up(name)
        if found is not None:
            return found
        names = {entry.name.lower(): entry.name for entry in listing.entries}
        wanted = name.strip().lower().rpartition("@")[2]
        near = difflib.get_close_matches(wanted, names, n=MOST_NEAR)
        raise EntryNotFound(name, near=tuple(names[low] for low in near), problems=listing.problems)

    async def knows(self, name: str) -> bool:
        """Whether `name` or `gallery@name` is the name of an entry."""
        return (await self._look_up(name))[0] is not None

    async def _look_up(self, name: str) -> tuple[Entry | None, Listing]:
        """The entry of a name, and what was read to find it: no gallery behind the one that has it."""
        wanted = name.strip().lower()
        entries: list[Entry] = []
        problems: list[str] = []
        for gallery in self.galleries:
            async with self._one_at_a_time:
                kept, told = await self._index(gallery, refresh=False)
            problems += told
            for entry in kept.entries if kept else ():
                if wanted in (entry.name.lower(), entry.entry_id.lower()):
                    return entry, Listing(entries=())
            entries += kept.entries if kept else ()
        return None, Listing(tuple(entries), tuple(problems))

    async def plan(
        self,
        entry: Entry,
        overrides: Mapping[str, Any] | None = None,
        *,
        name: str = "",
        variant: str = "",
    ) -> EntryPlan:
        """What installing `entry` takes, with `overrides` over its model file.

        `name` is what to call the model, by default as the entry. `variant` names the build to
        take, by an entry's name or a quantisation; by default the largest that fits into the free
        memory. Raises InvalidRequest, Unsupported (no engine for it), GalleryFailed (its base
        configuration cannot be had).
        """
        others = await self._variants(entry)
        if others:
            entry, *others = await asyncio.gather(*map(self._weighed, (entry, *others)))
        gpu = await asyncio.to_thread(self._gpu, entry.backend) if entry.backend else None
        choice = choose(entry, others, self._free_bytes(), self.runs, asked=variant, gpu=gpu)
        if choice.entry.archives:
            raise _is_archive(entry, choice.entry.archives[0])
        base = await self._base(choice.entry)
        plan = make_plan(choice, base, overrides or {}, name=name or entry.name)
        if plan.backend and not self._runs(plan.backend):
            raise _no_engine(entry, plan.backend)
        return plan

    async def _weighed(self, entry: Entry) -> Entry:
        """An entry with its size, where that can be had."""
        if entry.size_bytes or self._measure is None:
            return entry
        return msgspec.structs.replace(entry, size_bytes=await self._measure(entry))

    async def _variants(self, entry: Entry) -> list[Entry]:
        if not entry.variants:
            return []
        wanted = {name.lower() for name in entry.variants}
        gallery = next((one for one in self.galleries if one.name == entry.gallery), None)
        if gallery is None:  # an entry that stands in a request has no others beside it
            return []
        async with self._one_at_a_time:
            kept, _ = await self._index(gallery, refresh=False)
        return [other for other in (kept.entries if kept else ()) if other.name.lower() in wanted]

    async def _index(self, gallery: Gallery, *, refresh: bool) -> tuple[Kept | None, list[str]]:
        """The index of a gallery, as new as can be had, and what went wrong."""
        known = self._known.get(gallery.url)
        try:
            if is_local(gallery.url):
                found = await asyncio.to_thread(self._local_index, gallery, known)
            else:
                found = await self._remote_index(gallery, known, refresh=refresh)
        except GalleryFailed as error:
            old = known or await asyncio.to_thread(self._cache.index, gallery.url)
            if old is None:
                return None, [error.sentence]
            self._known[gallery.url] = old
            hours = max(0.0, self._clock() - old.fetched_unix_s) / 3600
            return old, [f"{error.message} What it said {hours:.0f} hours ago is used."]
        self._known[gallery.url] = found
        return found, []

    def _local_index(self, gallery: Gallery, known: Kept | None) -> Kept:
        """An index of this machine, read anew when its file changed."""
        path = PACKAGED if gallery.url == PACKAGE else local_path(gallery.url)
        try:
            status = path.stat()
            stamp = f"{status.st_mtime_ns} {status.st_size} {path}"
            if known is not None and known.stamp == stamp:
                return known
            kept = self._cache.index(gallery.url)
            if kept is not None and kept.stamp == stamp:
                return kept
            data = path.read_bytes()
        except OSError as error:
            why = f"cannot be read at {path}: {error.strerror or error}"
            raise GalleryFailed(gallery.name, why) from None
        return self._read(gallery, data, stamp=stamp)

    async def _remote_index(self, gallery: Gallery, known: Kept | None, *, refresh: bool) -> Kept:
        kept = known or await asyncio.to_thread(self._cache.index, gallery.url)
        if kept and not refresh and 0 <= self._clock() - kept.fetched_unix_s < EXPIRY_S:
            return kept
        failed_at, why = self._failed.get(gallery.url, (0.0, ""))
        if not refresh and self._clock() - failed_at < RETRY_AFTER_S:
            raise GalleryFailed(gallery.name, why)
        try:
            data = await self._get(gallery.url)
            return await asyncio.to_thread(self._read, gallery, data)
        except FetchFailed as error:
            why = str(error.fields["why"])
        except GalleryFailed as error:
            why = str(error.fields["why"])
        self._failed[gallery.url] = (self._clock(), why)
        raise GalleryFailed(gallery.name, why)

    def _read(self, gallery: Gallery, data: bytes, *, stamp: str = "") -> Kept:
        try:
            index = read_index(data, gallery=gallery.name)
        except BadIndex as error:
            raise GalleryFailed(gallery.name, f"is no index: {error}") from None
        kept = Kept(
            format=FORMAT, url=gallery.url, fetched_unix_s=self._clock(), stamp=stamp,
            entries=index.entries, problems=index.problems,
        )  # fmt: skip
        self._cache.keep_index(kept)
        return kept

    async def _base(self, entry: Entry) -> Base:
        """The base configuration of an entry; an empty one when it names none."""
        if not entry.base_url:
            return Base(config={})
        try:
            data = await self._base_text(entry)
            return await asyncio.to_thread(read_base, data)
        except (BadIndex, OSError) as error:
            why = f"its base configuration {entry.base_url[:200]} cannot be read: {error}"
        except FetchFailed as error:
            why = f"its base configuration {entry.base_url[:200]} {error.fields['why']}"
        except SettingInvalid as error:
            raise InvalidRequest(error.message, param="url", hint=error.hint) from None
        raise GalleryFailed(entry.gallery or entry.name, f"has an entry {entry.name!r}: {why}")

    async def _base_text(self, entry: Entry) -> bytes:
        gallery = next((one for one in self.galleries if one.name == entry.gallery), None)
        url = entry.base_url
        if is_local(url):
            if gallery is None or not is_local(gallery.url):
                raise InvalidRequest(
                    f"The base configuration {url[:200]!r} is a file of this machine, "
                    "which only a gallery on this machine may name.",
                    param="url",
                )
            folder = local_path(gallery.url).parent
            return await asyncio.to_thread((folder / local_path(url)).read_bytes)
        kept = await asyncio.to_thread(self._cache.text, url)
        if kept is not None and 0 <= self._clock() - kept[1] < EXPIRY_S:
            return kept[0]
        try:
            data = await self._get(url)
        except FetchFailed:
            if kept is not None:
                return kept[0]
            raise
        await asyncio.to_thread(self._cache.keep_text, url, data)
        return data

    async def _get(self, url: str) -> bytes:
        address = web_address(url)
        if self._fetch is None:
            raise FetchFailed(address[:200], "is not fetched, because the server is offline")
        return await self._fetch(address)


def _is_archive(entry: Entry, name: str) -> Unsupported:
    return Unsupported(
        f"The model {entry.name!r} comes as an archive, {name}, which is not unpacked here.",
        feature="archives",
        hint="Look for one whose files lie open: `local-ai models search` finds those.",
    )


def _no_engine(entry: Entry, backend: str) -> Unsupported:
    return Unsupported(
        f"The model {entry.name!r} needs the engine {backend!r}, which this server does not have.",
        feature=backend,
        hint="`local-ai backends available` lists those there are; "
        "`local-ai models search` finds models for them.",
    )
