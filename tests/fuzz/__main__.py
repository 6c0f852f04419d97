"""A long run of requests made from the server's own description. For `make fuzz`:

python -m tests.fuzz [requests [seed]]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.fuzz.harness import fill, fuzz
from tests.live import LiveServer

MOST = 5600  # some operations have few different requests: about 5000 are sent


def main() -> None:
    """Send them, and say what was wrong."""
    given = [int(word) for word in sys.argv[1:]]
    count, start = (given + [MOST, 1][len(given) :])[:2]
    with (
        tempfile.TemporaryDirectory() as base,
        LiveServer(fill(Path(base) / "models"), "--data-path", f"{base}/data") as server,
    ):
        findings = fuzz(server, count, start)
    sys.stdout.write(f"{findings}\n")
    sys.exit(bool(findings.failures))


if __name__ == "__main__":
    main()
