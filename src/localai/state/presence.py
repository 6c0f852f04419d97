"""Which server processes use a data folder, and which of those that did are dead.

<data>/servers/<id>     held by a living server, with a lock that the system frees with it
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
import uuid
from pathlib import Path

_NEW = ".new"
_YOUNG_S = 60.0


class Presence:
    """This process among the servers of `folder`; None where there can be no others.

    `server_id` stands with whatever this server works on. Where the folder cannot be written, or
    its file system has no locks, every other server counts as dead.
    """

    def __init__(self, folder: Path | None) -> None:
        self.server_id = uuid.uuid4().hex
        self._folder = folder
        self._descriptor = -1

    def enter(self) -> None:
        """Be seen to live; at once, so that nobody finds the file without its lock.

        What dead servers have left is removed.
        """
        if self._folder is None or self._descriptor >= 0:
            return
        path = self._folder / self.server_id
        new = path.with_suffix(_NEW)
        with contextlib.suppress(OSError):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for other in self._folder.iterdir():
                if other.suffix != _NEW or time.time() - other.stat().st_mtime > _YOUNG_S:
                    self.is_alive(other.name)
            self._descriptor = os.open(new, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                new.unlink()
            else:
                new.rename(path)

    def is_alive(self, server_id: str) -> bool:
        """Whether a server still runs; what a dead one left of itself is removed."""
        if server_id == self.server_id:
            return True
        if self._folder is None or not server_id:
            return False
        path = self._folder / server_id
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        else:
            path.unlink(missing_ok=True)
            return False
        finally:
            os.close(descriptor)

    def leave(self) -> None:
        """Be gone."""
        if self._folder is not None and self._descriptor >= 0:
            (self._folder / self.server_id).unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = -1
