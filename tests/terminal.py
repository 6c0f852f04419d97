"""A program in a terminal of its own, where keys become signals."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.live import PATIENCE_S, clean_environment

# A program in a session of its own has to take its terminal first, and to hear Ctrl-C, as a shell
# has it: what starts the tests in the background may have switched that off.
_OWN_TERMINAL = (
    "import fcntl, runpy, signal, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "signal.signal(signal.SIGINT, signal.default_int_handler); "
    "runpy.run_module('localai', run_name='__main__')"
)


class Terminal:
    """What a program writes, and keys to press."""

    def __init__(self, leader: int) -> None:
        self.shown = ""
        self._leader = leader
        self._seen = 0

    def until(self, text: str) -> None:
        """Wait until `text` is shown, after what was waited for before."""
        while (found := self.shown.find(text, self._seen)) < 0:
            ready, _, _ = select.select([self._leader], [], [], PATIENCE_S)
            assert ready, f"{text!r} was not shown after:\n{self.shown}"
            self.shown += os.read(self._leader, 4096).decode(errors="replace")
        self._seen = found + len(text)

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._leader, text.encode())

    def interrupt_until(self, text: str) -> None:
        """Press Ctrl-C until `text` is shown: between a prompt and its wait for keys, readline hears none."""
        pressed = 0.0
        while self.shown.find(text, self._seen) < 0:
            assert pressed < PATIENCE_S, f"{text!r} was not shown after:\n{self.shown}"
            self.type("\x03")
            if select.select([self._leader], [], [], 1)[0]:
                self.shown += os.read(self._leader, 4096).decode(errors="replace")
            pressed += 1
        self.until(text)


@contextmanager
def terminal(
    folder: Path, *arguments: str, environment: Mapping[str, str] | None = None
) -> Iterator[Terminal]:
    """Run `local-ai` in a terminal; it must end by itself, with success."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", _OWN_TERMINAL, *arguments], cwd=folder, stdin=follower, stdout=follower, stderr=follower,
        env=clean_environment(HOME=str(folder), TERM="dumb", NO_COLOR="1", **(environment or {})),
        start_new_session=True,
    )  # fmt: skip
    os.close(follower)
    try:
        yield Terminal(leader)
        assert process.wait(PATIENCE_S) == 0
    finally:
        process.kill()
        process.wait()
        os.close(leader)
