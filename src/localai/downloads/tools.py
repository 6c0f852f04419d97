"""What all downloads of a server share."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from localai.downloads.settings import DownloadSettings
from localai.downloads.speed import Limiter
from localai.outbound import Client


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What a transfer works with. `threads` do what waits for the disk."""

    client: Client
    settings: DownloadSettings
    limiter: Limiter
    threads: ThreadPoolExecutor
