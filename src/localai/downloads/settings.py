"""How downloads behave."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadSettings:
    """The limits of downloads.

    `connections` are made for one large file, `files` of a model are fetched at a time.
    `bytes_per_s` limits all downloads together, None does not. A connection that brings nothing
    new is tried `attempts` times; the pause begins with `pause_s` and doubles up to
    `longest_pause_s`. A server that asks for a longer pause than `longest_wait_s` is given up.
    `piece_bytes` are asked for at a time. `spare_bytes` stay free on the disk.
    """

    connections: int = 4
    files: int = 3
    bytes_per_s: float | None = None
    attempts: int = 6
    pause_s: float = 0.5
    longest_pause_s: float = 30.0
    longest_wait_s: float = 120.0
    piece_bytes: int = 32 << 20
    spare_bytes: int = 64 << 20
