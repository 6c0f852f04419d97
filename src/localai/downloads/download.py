"""Files on their way: one download for everybody who wants the same file."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import threading
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial as bound
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit
from urllib.request import url2pathname

from localai.domain.downloads import RemoteFile
from localai.domain.errors import ChecksumMismatch, InvalidRequest
from localai.domain.source_errors import SourceNotFound
from localai.downloads.names import place
from localai.downloads.partial import Partial, key_of
from localai.downloads.receipts import FileRecord
from localai.downloads.settings import DownloadSettings
from localai.downloads.speed import Limiter
from localai.downloads.threads import in_thread
from localai.downloads.tools import Tools
from localai.outbound import Client

if TYPE_CHECKING:
    from localai.downloads.transfer import Transfer

_LOCK_EVERY_S: Final = 0.25
_COPY_BYTES: Final = 4 << 20
_THREADS: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A verified file. `part` is its quarantine name, "" when it lies in its place already."""

    record: FileRecord
    part: str = ""


@dataclass(slots=True)
class Download:
    """One file on its way: how far it is, and what is done now."""

    file: RemoteFile
    said: str = "waiting"
    done_bytes: int = 0
    total_bytes: int | None = None
    users: int = 0
    partial: Partial | None = None
    transfer: Transfer | None = None
    task: asyncio.Task[Fetched] = field(init=False)

    def look(self) -> None:
        """Bring the numbers up to date."""
        if self.partial is not None:
            self.done_bytes = self.partial.ranges.size
        if self.transfer is not None:
            self.total_bytes = self.transfer.total_bytes


class Downloader:
    """Fetches files into one models folder."""

    def __init__(self, models_path: Path, client: Client, settings: DownloadSettings) -> None:
        self._models_path = models_path
        self._settings = settings
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="download")
        self._tools = Tools(
            client=client,
            settings=settings,
            limiter=Limiter(settings.bytes_per_s),
            threads=self._threads,
        )
        self._running: dict[str, Download] = {}

    @property
    def threads(self) -> ThreadPoolExecutor:
        """The threads that wait for the disk."""
        return self._threads

    @contextlib.asynccontextmanager
    async def fetching(
        self,
        file: RemoteFile,
        before: FileRecord | None = None,
        *,
        may_replace: bool = False,
        force: bool = False,
    ) -> AsyncGenerator[Download, None]:
        """The download of `file`, shared with whoever wants the same; await its `task`.

        It stops, and keeps what came, when nobody wants it any more. `before` is what is known of
        the file in its place; another one there is an error unless it `may_replace` it. `force`
        fetches anew what is there already.
        """
        key = key_of(file)
        download = self._running.get(key)
        if download is None or download.task.done():
            download = Download(file, total_bytes=file.size_bytes)
            download.task = asyncio.create_task(
                self._run(download, before, may_replace=may_replace, force=force)
            )
            self._running[key] = download
        download.users += 1
        try:
            yield download
        finally:
            download.users -= 1
            if download.users == 0:
                download.task.cancel()
                await asyncio.wait({download.task})
                if self._running.get(key) is download:
                    del self._running[key]

    async def discard(self, file: RemoteFile) -> None:
        """Remove what came of a file that nobody wants any more."""
        from filelock import FileLock, Timeout

        if key_of(file) in self._running:
            return
        partial = Partial(self._models_path, file)
        with contextlib.suppress(Timeout, OSError), FileLock(partial.lock_path, timeout=0):
            partial.discard()

    def close(self) -> None:
        """Let go of the threads."""
        self._threads.shutdown(wait=False)

    async def _run(
        self, download: Download, before: FileRecord | None, *, may_replace: bool, force: bool
    ) -> Fetched:
        file = download.file
        target = place(self._models_path, file.name)
        partial = Partial(self._models_path, file)
        async with self._locked(download, partial):
            if not force:
                found = await self._in_place(download, target, before, may_replace=may_replace)
                if found is not None:
                    return Fetched(record=found)
            await in_thread(self._threads, partial.open)
            download.partial = partial
            try:
                partial.check_room(file.size_bytes or 0, self._settings.spare_bytes)
                download.said = f"fetching {file.name}"
                if file.address.startswith("file:"):
                    stop = threading.Event()
                    await in_thread(self._threads, _copy, file, partial, stop, stop=stop)
                else:
                    from localai.downloads.transfer import Transfer

                    download.transfer = Transfer(file, partial, self._tools)
                    await download.transfer.run()
            except ChecksumMismatch:
                partial.discard()
                raise
            finally:
                download.look()
                partial.close()
        record = FileRecord(
            name=file.name,
            size_bytes=partial.known.size_bytes or 0,
            sha256=partial.known.sha256,
            address=file.address.partition("?")[0],
        )
        return Fetched(record=record, part=partial.path.name)

    @contextlib.asynccontextmanager
    async def _locked(self, download: Download, partial: Partial) -> AsyncGenerator[None, None]:
        """Wait until no other process works on the file. The system frees a dead one's lock.

        Raises StorageFull, DownloadFailed.
        """
        from filelock import FileLock, Timeout

        try:
            partial.lock_path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise partial.disk_error(error) from error
        lock = FileLock(partial.lock_path, thread_local=False)
        while True:
            try:
                lock.acquire(timeout=0)
                break
            except Timeout:
                download.said = f"waiting for another process that fetches {download.file.name}"
                await asyncio.sleep(_LOCK_EVERY_S)
            except OSError as error:
                raise partial.disk_error(error) from error
        try:
            yield
        finally:
            lock.release()

    async def _in_place(
        self, download: Download, target: Path, before: FileRecord | None, *, may_replace: bool
    ) -> FileRecord | None:
        """The record of a file that is there already; None when it has to be fetched."""
        download.said = f"checking whether {download.file.name} is there"
        stop = threading.Event()
        compare = bound(_compare, download.file, target, before, stop, may_replace=may_replace)
        found = await in_thread(self._threads, compare, stop=stop)
        if found is not None:
            download.done_bytes = download.total_bytes = found.size_bytes
        return found


def _copy(file: RemoteFile, partial: Partial, stop: threading.Event) -> None:
    """Copy a file of this machine, verified like any other.

    Raises SourceNotFound, ChecksumMismatch, StorageFull.
    """
    partial.reset()
    source = Path(url2pathname(urlsplit(file.address).path))
    digest, at = hashlib.sha256(), 0
    try:
        with source.open("rb", buffering=0) as reading:
            while data := reading.read(_COPY_BYTES):
                if stop.is_set():
                    return
                digest.update(data)
                partial.write(at, [data])
                partial.add(at, at + len(data))
                at += len(data)
    except FileNotFoundError:
        raise SourceNotFound(str(source), "does not exist") from None
    if file.sha256 and digest.hexdigest() != file.sha256:
        raise ChecksumMismatch(
            f"{source} has the checksum {digest.hexdigest()}, and {file.sha256} was announced (SHA-256).",
            hint="Copy the file anew, or correct what was announced.",
        )
    partial.verified(digest.hexdigest(), at)


def _compare(
    file: RemoteFile,
    target: Path,
    before: FileRecord | None,
    stop: threading.Event,
    *,
    may_replace: bool,
) -> FileRecord | None:
    """The record of the file at `target` when it is `file`, else None: it has to be fetched.

    Raises InvalidRequest when it is another file, which may not be replaced.
    """
    if not target.is_file():
        return None
    state, sha256 = target.stat(), ""
    is_told = bool(file.sha256) or file.size_bytes is not None or before is not None
    if is_told and file.size_bytes in (None, state.st_size):
        is_unchanged = before is not None and (before.size_bytes, before.modified_ns) == (state.st_size, state.st_mtime_ns)  # fmt: skip
        sha256 = before.sha256 if before is not None and is_unchanged else sha256_of(target, stop)
    address = file.address.partition("?")[0]
    if sha256 and _is_same(file, address, sha256, before):
        return FileRecord(name=file.name, size_bytes=state.st_size, sha256=sha256, address=address)
    if not may_replace:
        raise InvalidRequest(
            f"There is another file at {target}, with other content than {file.name} should have.",
            param="files",
            hint="Move it away, or install with --force to replace it.",
        )
    return None


def _is_same(file: RemoteFile, address: str, sha256: str, before: FileRecord | None) -> bool:
    """Whether content with that checksum is what would be fetched, as far as anybody knows."""
    if file.sha256:
        return sha256 == file.sha256
    return before is None or (before.address, before.sha256) == (address, sha256)


def sha256_of(path: Path, stop: threading.Event | None = None) -> str:
    """The checksum of a file; of no use once `stop` is set."""
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(_COPY_BYTES))
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        while (count := os.readv(descriptor, [buffer])) and not (stop and stop.is_set()):
            digest.update(buffer[:count])
    finally:
        os.close(descriptor)
    return digest.hexdigest()
