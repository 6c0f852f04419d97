"""What sources have to know of this server's surroundings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

_TRUE: Final = frozenset({"1", "true", "yes", "on"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSettings:
    """Where sources are asked, and as whom.

    `hf_endpoint` replaces https://huggingface.co, "" for the library's own choice; `hf_token` is
    sent to it, "" for the one that `hf auth login` stored. `offline`: nothing is asked, only the
    library's cache is used. `github_raw` serves files of repositories. `may_read_files`: paths
    and file:// addresses may lie anywhere on this machine, as for its own user.
    """

    hf_endpoint: str = ""
    hf_token: str = ""
    offline: bool = False
    github_raw: str = "https://raw.githubusercontent.com"
    may_read_files: bool = False

    @property
    def trusted(self) -> frozenset[str]:
        """HOST:PORT of the servers that the operator named."""
        parts = urlsplit(self.hf_endpoint)
        if not parts.hostname:
            return frozenset()
        return frozenset({f"{parts.hostname}:{parts.port or (80 if parts.scheme == 'http' else 443)}"})  # fmt: skip


def source_settings(
    environment: Mapping[str, str], *, may_read_files: bool = False
) -> SourceSettings:
    """The settings that Hugging Face's own variables make; HF_MIRROR is LocalAI's older word."""
    mirror = environment.get("HF_MIRROR", "").strip()
    endpoint = environment.get("HF_ENDPOINT", "").strip()
    if mirror:
        endpoint = mirror if "://" in mirror else f"https://{mirror}"
    return SourceSettings(
        hf_endpoint=endpoint.rstrip("/"),
        hf_token=environment.get("HF_TOKEN", "").strip(),
        offline=environment.get("HF_HUB_OFFLINE", "").strip().lower() in _TRUE,
        may_read_files=may_read_files,
    )
