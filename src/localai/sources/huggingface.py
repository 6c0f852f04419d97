"""Hugging Face, through its own library: https://huggingface.co/docs/huggingface_hub.

The library says what a repository holds at a revision, with sizes and checksums, and whose token
is sent; the bytes are fetched like any other file's. What lies in its cache is not fetched again.
"""

from __future__ import annotations

import asyncio
import difflib
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from localai.domain.downloads import Listing, RemoteFile
from localai.domain.errors import InvalidRequest, LocalAIError
from localai.domain.source_errors import (
    UNREACHABLE,
    DownloadFailed,
    SourceForbidden,
    SourceNotFound,
)
from localai.downloads.names import safe_name

if TYPE_CHECKING:
    from localai.sources.names import Written
    from localai.sources.settings import SourceSettings

SITE: Final = "https://huggingface.co"
_ASK_S: Final = 30.0
_PART = re.compile(r"(?P<stem>.+)-\d{5}-of-(?P<count>\d{5})(?P<end>\.[a-z]+)")
_REFUSED: Final = (401, 403)
_TOO_MANY: Final = 429
_GATED_HINT: Final = "Accept its terms on its page, then set HF_TOKEN to a token of your account, or run `hf auth login`."


class HuggingFace:
    """Repositories of models on Hugging Face, or on the server at `hf_endpoint`."""

    def __init__(self, settings: SourceSettings) -> None:
        self._settings = settings

    async def look(self, written: Written) -> Listing:
        """The files of a repository, or those that the name means in it.

        Raises SourceNotFound with near names, SourceForbidden, DownloadFailed.
        """
        return await asyncio.to_thread(self._look, written)

    def file(self, written: Written, name: str) -> RemoteFile:
        """One file of a repository, without asking whether it is there."""
        if not written.path:
            raise InvalidRequest(
                f"{written.written} names a repository, and a file is needed.",
                param="files",
                hint="Write owner/repository/file.",
            )
        address = self._address(written.repository, written.path, written.revision or "main")
        return RemoteFile(
            name=name or PurePosixPath(written.path).name,
            address=address,
            credentials=self._credentials,
        )

    def _look(self, written: Written) -> Listing:
        if self._settings.offline:
            return self._cached(written)
        info = self._ask(written)
        revision = info.sha or written.revision or "main"
        files = tuple(
            self._remote(written.repository, revision, sibling)
            for sibling in info.siblings or ()
            if _is_usable(sibling.rfilename)
        )
        return self._listing(written, revision, files)

    def _listing(self, written: Written, revision: str, files: tuple[RemoteFile, ...]) -> Listing:
        chosen = _named(written, files)
        repository, path = written.repository, f"/{written.path}" if written.path else ""
        is_exact = bool(written.path) and any(file.name == written.path for file in chosen)
        stem = PurePosixPath(written.path).name if is_exact else repository.rpartition("/")[2]
        said = {"quantization": written.quantization} if written.quantization else {}
        return Listing(
            source="huggingface",
            uri=f"huggingface://{repository}@{revision}{path}",
            model_name=_model_name(stem),
            files=chosen,
            revision=revision,
            is_exact=is_exact,
            texts={"repository": repository, **said},
        )

    def _remote(self, repository: str, revision: str, sibling: Any) -> RemoteFile:
        """A file of the repository; the copy in the library's cache when there is one."""
        cached = self._in_cache(repository, revision, sibling.rfilename)
        sha256 = (sibling.lfs.sha256 if sibling.lfs else "") or ""
        return RemoteFile(
            name=sibling.rfilename,
            address=cached or self._address(repository, sibling.rfilename, revision),
            size_bytes=sibling.size,
            sha256=sha256.lower(),
            credentials=None if cached else self._credentials,
        )

    def _in_cache(self, repository: str, revision: str, path: str) -> str:
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(repository, path, revision=revision)
        return Path(found).resolve().as_uri() if isinstance(found, str) else ""

    def _address(self, repository: str, path: str, revision: str) -> str:
        from huggingface_hub import hf_hub_url

        endpoint = self._settings.hf_endpoint or None
        return hf_hub_url(repository, path, revision=revision, endpoint=endpoint)

    async def _credentials(self, again: bool) -> Mapping[str, str]:  # noqa: FBT001 - the form of Credentials
        if again:
            return {}
        return await asyncio.to_thread(self._headers)

    def _headers(self) -> Mapping[str, str]:
        from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]  # in its manual, not in its __all__

        headers = build_hf_headers(token=self._settings.hf_token or None)
        return {name: text for name, text in headers.items() if name.lower() == "authorization"}

    def _ask(self, written: Written) -> Any:
        from huggingface_hub import HfApi
        from huggingface_hub import errors as said

        api = HfApi(
            endpoint=self._settings.hf_endpoint or None,
            token=self._settings.hf_token or None,
            library_name="local-ai",
        )
        repository, revision = written.repository, written.revision or None
        shown = f"The Hugging Face repository {repository!r}"
        try:
            return api.model_info(
                repository, revision=revision, files_metadata=True, timeout=_ASK_S
            )
        except said.GatedRepoError:
            raise SourceForbidden(
                shown, "is gated: its owner wants to know who uses it", hint=_GATED_HINT
            ) from None
        except said.DisabledRepoError:
            raise SourceNotFound(shown, "was switched off by Hugging Face") from None
        except said.RevisionNotFoundError:
            raise SourceNotFound(
                shown, f"has no branch, tag or commit {revision!r}", hint="Its default is `main`."
            ) from None
        except said.RepositoryNotFoundError:
            raise SourceNotFound(
                shown,
                "does not exist, or is private",
                hint="Correct the name; for a private one set HF_TOKEN to a token that may read it.",
            ) from None
        except said.OfflineModeIsEnabled:
            return self._offline(written)
        except said.HFValidationError as error:
            raise InvalidRequest(f"{shown} has no valid name: {error}.", param="id") from None
        except (said.HTTPError, OSError, ValueError) as error:  # type: ignore[attr-defined]  # its HTTP client's root
            raise _unreachable(shown, error) from error

    def _offline(self, written: Written) -> Any:
        raise DownloadFailed(
            written.written, "the Hugging Face library is offline", hint="Unset HF_HUB_OFFLINE."
        )

    def _cached(self, written: Written) -> Listing:
        """What the library's cache holds of a repository; for when nothing may be asked."""
        from huggingface_hub import snapshot_download

        try:
            folder = Path(
                snapshot_download(
                    written.repository, revision=written.revision or None, local_files_only=True
                )
            )
        except OSError:
            raise SourceNotFound(
                f"The Hugging Face repository {written.repository!r}",
                "is not in the cache of the Hugging Face library, and HF_HUB_OFFLINE is set",
                hint="Unset HF_HUB_OFFLINE to fetch it.",
            ) from None
        files = tuple(
            RemoteFile(
                name=path.relative_to(folder).as_posix(),
                address=path.resolve().as_uri(),
                size_bytes=path.stat().st_size,
            )
            for path in sorted(folder.rglob("*"))
            if path.is_file() and _is_usable(path.relative_to(folder).as_posix())
        )
        return self._listing(written, folder.name, files)


def _named(written: Written, files: tuple[RemoteFile, ...]) -> tuple[RemoteFile, ...]:
    """The files that a path in a repository means: one, all parts of one, or a folder's."""
    path = written.path
    if not path:
        return files
    part = _PART.fullmatch(path)
    if part is not None:
        ends = f"-of-{part['count']}{part['end']}"
        parts = [f for f in files if f.name.startswith(part["stem"] + "-") and f.name.endswith(ends)]  # fmt: skip
        if len(parts) == int(part["count"]):
            return tuple(parts)
    found = [file for file in files if file.name == path] or [
        file for file in files if file.name.startswith(path + "/")
    ]
    if not found:
        near = difflib.get_close_matches(path, [file.name for file in files], n=3, cutoff=0.4)
        raise SourceNotFound(
            f"The Hugging Face repository {written.repository!r}",
            f"has no file {path[:200]!r} at the revision {written.revision or 'main'!r}",
            near=tuple(repr(name) for name in near),
        )
    return tuple(found)


def _is_usable(name: str) -> bool:
    """Whether a file may lie in a models folder: `.gitattributes` and the like may not."""
    try:
        return bool(safe_name(name))
    except LocalAIError:
        return False


def _model_name(file_name: str) -> str:
    match = _PART.fullmatch(file_name)
    if match is not None:
        return match["stem"]
    return file_name.removesuffix(".gguf") or file_name


def _unreachable(shown: str, error: Exception) -> LocalAIError:
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in _REFUSED:
        why = f"may not be read: its hub answered with status {status}"
        return SourceForbidden(shown, why, hint=_GATED_HINT)
    if status is not None:
        shown = shown[0].lower() + shown[1:]
        busy = "A token (HF_TOKEN) allows more. " if status == _TOO_MANY else ""
        hint = f"{busy}Try later; HF_ENDPOINT names another hub."
        return DownloadFailed(shown, f"its hub answered with status {status}", hint=hint)
    why = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
    shown = shown[0].lower() + shown[1:]  # in the middle of a sentence
    number = re.match(r"\[Errno -?\d+\] ", why)
    return DownloadFailed(
        shown,
        f"its hub {UNREACHABLE}: {why[number.end() :] if number else why}",
        hint="Look at the network of this machine; behind a proxy, set HTTPS_PROXY. HF_ENDPOINT names another hub.",
    )
