"""Having the HTTP library when it is needed."""

from __future__ import annotations

import asyncio
import sys
from importlib import import_module
from typing import Final

_NAME: Final = "localai.outbound.library"


async def have_library() -> None:
    """Import what makes connections, in a thread: others need not wait the third of a second."""
    if _NAME not in sys.modules:
        await asyncio.to_thread(import_module, _NAME)
