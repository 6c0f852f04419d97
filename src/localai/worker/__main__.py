"""`python -m localai.worker NAME --listen unix:PATH` runs one backend until its parent ends.

The bearer token of a TCP listener comes from LOCALAI_WORKER_TOKEN, so that it shows in no process
list.
"""

from __future__ import annotations

import argparse
import os

from localai.worker.orphan import die_with_parent
from localai.worker.runtime import serve


def main() -> None:
    """Parse the arguments and serve."""
    parser = argparse.ArgumentParser(
        prog="localai.worker", description="Run one backend as a worker process."
    )
    parser.add_argument(
        "module", help="import path of the backend's file, for example localai.backends.echo"
    )
    parser.add_argument("--listen", required=True, help="unix:PATH or tcp:HOST:PORT")
    parser.add_argument(
        "--standalone", action="store_true", help="go on when the parent process ends"
    )
    arguments = parser.parse_args()
    if not arguments.standalone:
        die_with_parent()
    serve(arguments.module, arguments.listen, token=os.environ.get("LOCALAI_WORKER_TOKEN", ""))


if __name__ == "__main__":
    main()
