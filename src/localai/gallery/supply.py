"""Everything that knows where models come from, as one object."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from localai.domain.errors import FetchFailed, LocalAIError
from localai.domain.source_errors import UNREACHABLE
from localai.gallery.cache import Cache
from localai.gallery.entry import Entry, EntryFile
from localai.gallery.galleries import Galleries, Surroundings
from localai.gallery.places import Gallery, web_address
from localai.gallery.planner import Planner
from localai.hardware import Gpu
from localai.outbound.client import Client, ClientSettings, is_ok, origin
from localai.outbound.proxies import Proxies
from localai.sources import Sources, SourceSettings

_LARGEST_BYTES = 64_000_000  # of an index; LocalAI's has 2.5 MB


@dataclass(frozen=True, slots=True, kw_only=True)
class SupplySettings:
    """What a supply has to know. `cache` is a folder for indexes; `allow_private` as in `Client`."""

    galleries: tuple[Gallery, ...]
    sources: SourceSettings
    models_path: Path
    cache: Path
    allow_private: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSupply:
    """Plans of models, the sources behind them, and the client that asks those."""

    planner: Planner
    sources: Sources
    client: Client

    @property
    def galleries(self) -> Galleries:
        """The indexes."""
        return self.planner.galleries

    async def close(self) -> None:
        """Close the client."""
        await self.client.close()


def make_supply(
    settings: SupplySettings,
    environment: Mapping[str, str],
    *,
    free_bytes: Callable[[], int],
    backends: Callable[[], Collection[str]],
    gpu: Callable[[str], Gpu | None] = lambda _: None,
) -> ModelSupply:
    """Build a supply. `backends` gives the names of all engines this server has, `gpu` where one
    of them computes.
    """  # noqa: D205 - one sentence about both
    trusted = settings.sources.trusted | _hosts(settings.galleries)
    client = Client(
        ClientSettings(allow_private=settings.allow_private, trusted=trusted), Proxies(environment)
    )
    sources = Sources(settings.sources, client, settings.models_path)

    async def fetch(address: str) -> bytes:
        try:
            status, _, body = await client.read(address, {}, limit_bytes=_LARGEST_BYTES)
        except OSError as error:
            said = str(error) or type(error).__name__
            why = f"{UNREACHABLE}: {said.partition(f'{UNREACHABLE}: ')[2] or said}"
            raise FetchFailed(address, why) from error
        if not is_ok(status):
            raise FetchFailed(address, f"answered with status {status}")
        return body

    async def measure(entry: Entry) -> int:
        try:
            sizes = [one.size_bytes or await _size(sources, one) for one in entry.files]
        except LocalAIError:
            return 0
        return sum(sizes) if all(sizes) else 0

    surroundings = Surroundings(
        fetch=None if settings.sources.offline else fetch,
        free_bytes=free_bytes,
        runs=lambda name: name.strip().lower() in backends(),
        measure=measure,
        gpu=gpu,
    )
    galleries = Galleries(settings.galleries, Cache(settings.cache), surroundings)
    return ModelSupply(
        planner=Planner(galleries, sources, free_bytes), sources=sources, client=client
    )


async def _size(sources: Sources, file: EntryFile) -> int:
    listing = await sources.look(file.uri)
    return listing.files[0].size_bytes or 0 if listing.files else 0


def _hosts(galleries: tuple[Gallery, ...]) -> frozenset[str]:
    """HOST:PORT of the galleries, where the operator sent us."""
    addresses = (web_address(gallery.url) for gallery in galleries)
    return frozenset(origin(address) for address in addresses if urlsplit(address).hostname)
