"""Waiting for the disk in threads, so that nobody else has to."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

_Result = TypeVar("_Result")


async def in_thread(
    threads: ThreadPoolExecutor,
    work: Callable[..., _Result],
    *given: Any,
    stop: threading.Event | None = None,
) -> _Result:
    """Do `work` in a thread. It has ended when this returns, even when this is cancelled.

    `stop` is set then, for work that takes long and looks at it.
    """
    running = asyncio.get_running_loop().run_in_executor(threads, work, *given)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        if stop is not None:
            stop.set()
        await asyncio.wait({running})
        raise
