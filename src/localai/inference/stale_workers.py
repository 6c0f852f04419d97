"""Ending workers of models that are gone, or are not what they were, without waiting for a request."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final, NoReturn

from localai.inference.library import is_of

if TYPE_CHECKING:
    from localai.inference.library import Library
    from localai.supervisor.pool import Pool

_LOOK_S: Final = 1.0
_LOOK_SHARE: Final = 0.02  # of the time, at most, is spent on looking at a folder with many files


async def end_stale_workers(library: Library, pool: Pool) -> NoReturn:
    """Have each worker leave, after its running answers, that no request will be given any more.

    One is left alone until a second look finds the same: a file that is being replaced may be gone
    for a moment. A model that was pinned, or is not any more, keeps its worker. While nothing is
    loaded, nobody looks.
    """
    suspected: frozenset[str] = frozenset()
    took_s = 0.0
    while True:
        await asyncio.sleep(max(_LOOK_S, took_s / _LOOK_SHARE))
        loaded = pool.loaded()
        if not loaded:
            continue
        began_s = time.monotonic()
        await asyncio.to_thread(library.catalog)
        stale = await asyncio.to_thread(_with_other_engine, pool, tuple(loaded))
        took_s = time.monotonic() - began_s
        for name, revision in loaded.items():
            spec = library.of_worker(name)
            if spec is None or not is_of(spec, revision):
                stale.add(name)
            else:
                pool.pin(name, is_on=spec.pinned)
        for name in stale & suspected:
            pool.retire(name)
        suspected = frozenset(stale - suspected)


def _with_other_engine(pool: Pool, names: tuple[str, ...]) -> set[str]:
    """Those whose engine was upgraded, or installed anew."""
    return {name for name in names if pool.is_outdated(name)}
