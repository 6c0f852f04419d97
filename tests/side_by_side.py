"""How `make test` shares the suite out among processes, with pytest-xdist.

Tests of one file stay together, because they share servers and models that take seconds to make. The
pieces that take longest begin first, so that no process waits for another at the end.
"""

from __future__ import annotations

import os
from typing import Any

from xdist.scheduler import LoadScopeScheduling

# What this file's tests share is made anew for each engine and task.
_CONFORMANCE = "tests/backends/test_conformance.py"
_LONGEST_FIRST = (
    "tests/clients/test_clients.py",
    "tests/http/test_examples.py",
    "tests/http/test_commands.py",
    "tests/backends/test_sound_conformance.py",
    "tests/http/test_models.py",
    "tests/engines/test_install.py",
)


class Sharing(LoadScopeScheduling):
    """One piece of work per file; of the conformance of engines one per engine and task."""

    def _split_scope(self, nodeid: str) -> str:
        file, _, name = nodeid.partition("::")
        return file + name[name.find("[") :] if file == _CONFORMANCE else file

    def _assign_work_unit(self, node: Any) -> None:
        for piece in _LONGEST_FIRST:
            if piece in self.workqueue:
                self.workqueue.move_to_end(piece, last=False)
                break
        super()._assign_work_unit(node)


def processes() -> int:
    """As many as there are cores, until the memory of their servers would be too much."""
    return min(len(os.sched_getaffinity(0)), 4)
