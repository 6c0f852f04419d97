"""The command line, one file per command. Data goes to stdout, talk to stderr.

Commands are imported when they are called, so that `local-ai --help` is quick.
"""

from localai.cli.main import main

__all__ = ["main"]
