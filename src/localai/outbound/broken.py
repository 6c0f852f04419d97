"""What goes wrong on the way, in words that do not need the library which carries it out."""

from __future__ import annotations


class Broken(OSError):
    """The connection broke or was never made; the text says why."""


class Untrusted(Broken):
    """The certificate of `host` is not trusted; the text says why."""

    def __init__(self, host: str, why: str) -> None:
        super().__init__(why)
        self.host = host
