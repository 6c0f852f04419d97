"""A worker never outlives the server that started it, however that server died."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading

_PR_SET_PDEATHSIG = 1  # prctl(2)


def die_with_parent() -> None:
    """End this process when its parent ends.

    The kernel is asked first (Linux), which also works while an engine holds the interpreter.
    Elsewhere, and for a parent that is gone already, the end of stdin is the sign: the parent
    holds the other end and never writes.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_exit_at_end_of_stdin, name="parent-watch", daemon=True).start()


def _exit_at_end_of_stdin() -> None:
    while os.read(0, 4096):
        pass
    os._exit(0)
