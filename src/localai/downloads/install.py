"""Installing a model: fetch all of it, verify it, then put it in place at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import msgspec

from localai.domain.downloads import ModelPlan, RemoteFile
from localai.domain.errors import InvalidRequest, StorageFull
from localai.domain.jobs import Step
from localai.domain.source_errors import DownloadFailed
from localai.downloads.download import Download, Downloader, Fetched
from localai.downloads.names import model_file_name, place, safe_name, safe_weights_name
from localai.downloads.partial import Partial, free_bytes
from localai.downloads.receipts import Placing, Receipt, Receipts, finish_placing
from localai.downloads.settings import DownloadSettings
from localai.downloads.speed import Speed
from localai.downloads.threads import in_thread

_TICK_S: Final = 0.1


@dataclass(slots=True)
class _Progress:
    """All files of one install."""

    files: Sequence[RemoteFile]
    downloads: dict[str, Download] = field(default_factory=dict)
    speed: Speed = field(default_factory=Speed)

    def step(self) -> Step:
        """How far they are together."""
        done, said = 0, ""
        for download in self.downloads.values():
            download.look()
            done += download.done_bytes
            said = said or ("" if download.task.done() else download.said)
        sizes = [self._size(file) for file in self.files]
        total = 0 if None in sizes else sum(size for size in sizes if size is not None)
        return Step(said or "fetching", done, total, self.speed.left_s(done, total))

    def _size(self, file: RemoteFile) -> int | None:
        download = self.downloads.get(file.name)
        return file.size_bytes if download is None else download.total_bytes


class Installer:
    """Installs models into one folder."""

    def __init__(
        self, models_path: Path, downloader: Downloader, settings: DownloadSettings
    ) -> None:
        self.models_path = models_path
        self.receipts = Receipts(models_path)
        self._downloader = downloader
        self._settings = settings

    def recover(self) -> tuple[str, ...]:
        """Put in place what an earlier process had fetched whole; gives the models' names."""
        return finish_placing(self.models_path)

    async def install(self, plan: ModelPlan, *, force: bool = False) -> AsyncGenerator[Step, None]:
        """Do what `plan` says. Closing the generator stops it, and keeps what came.

        Raises InvalidRequest for names that are not allowed or taken, StorageFull, and whatever
        fetching raises: ChecksumMismatch, DownloadFailed, SourceNotFound, SourceForbidden.
        """
        self._check(plan, force=force)
        self._check_disk(plan)
        progress = _Progress(plan.files)
        fetching = asyncio.create_task(self._fetch_all(plan, progress, force=force))
        try:
            while not fetching.done():
                yield progress.step()
                await asyncio.wait({fetching}, timeout=_TICK_S)
            fetched = fetching.result()
        finally:
            fetching.cancel()
            await asyncio.wait({fetching})
        last = progress.step()
        yield replace(last, text="putting it in place", left_s=None)
        await in_thread(self._downloader.threads, self._put, plan, fetched)
        yield replace(last, text="done", left_s=0.0)

    async def discard(self, plan: ModelPlan) -> None:
        """Remove what came of a model that is not wanted any more."""
        for file in plan.files:
            await self._downloader.discard(file)

    def _check(self, plan: ModelPlan, *, force: bool) -> None:
        model_file_name(plan.name)
        seen: dict[str, str] = {}
        for name in (*(file.name for file in plan.files), *plan.texts):
            (safe_name if name in plan.texts else safe_weights_name)(name)
            _check_place(self.models_path, place(self.models_path, name))
            other = seen.setdefault(name.casefold(), name)
            if other is not name:
                raise InvalidRequest(
                    f"Two files of {plan.name!r} would be called {name!r}.", param="files"
                )
        if not plan.files and not plan.texts:
            raise InvalidRequest(f"There is nothing to install for {plan.name!r}.", param="files")
        ours = {text for receipt in self.receipts.all() for text in receipt.texts}
        for name, content in plan.texts.items():
            path = self.models_path / name
            if name in ours or force or not path.exists() or path.read_text(errors="replace") == content:  # fmt: skip
                continue
            raise InvalidRequest(
                f"There is a model file {path} already, which was not installed from anywhere.",
                param="name",
                hint="Choose another name, or install with --force to replace it.",
            )

    def _check_disk(self, plan: ModelPlan) -> None:
        """All files must fit, not only the first."""
        needed = 0
        for file in plan.files:
            there = Partial(self.models_path, file).path
            target = self.models_path / file.name
            if file.size_bytes and not target.exists():
                came = there.stat().st_blocks * 512 if there.exists() else 0
                needed += max(0, file.size_bytes - came)
        free = free_bytes(self.models_path)
        if needed and needed + self._settings.spare_bytes > free:
            raise StorageFull(free_bytes=free, needed_bytes=needed)

    async def _fetch_all(
        self, plan: ModelPlan, progress: _Progress, *, force: bool
    ) -> list[Fetched]:
        known = await in_thread(self._downloader.threads, self.receipts.records)
        receipt = self.receipts.read(plan.name)
        own = {file.name for file in receipt.files} if receipt is not None else set()
        some = asyncio.Semaphore(self._settings.files)

        async def fetch(file: RemoteFile) -> Fetched:
            fetching = self._downloader.fetching(
                file, known.get(file.name), may_replace=file.name in own, force=force
            )
            async with some, fetching as download:
                progress.downloads[file.name] = download
                return await asyncio.shield(download.task)

        tasks = [asyncio.create_task(fetch(file)) for file in plan.files]
        try:
            return await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks)

    def _put(self, plan: ModelPlan, fetched: Sequence[Fetched]) -> None:
        """The parts of a model first, the weights that make it visible next, the texts last."""
        moves = [(one.part, one.record.name) for one in fetched if one.part]
        receipt = Receipt(
            name=plan.name,
            uri=plan.uri,
            why=plan.why,
            backend=plan.backend,
            installed_unix_s=int(time.time()),
            files=tuple(one.record for one in fetched),
            texts=tuple(plan.texts),
        )
        older = self.receipts.read(plan.name)
        if older is not None and not plan.texts:  # files that a model file names, and nothing else
            new = {record.name for record in receipt.files}
            kept = tuple(record for record in older.files if record.name not in new)
            receipt = msgspec.structs.replace(older, files=(*kept, *receipt.files))
        placing = Placing(receipt=receipt, moves=tuple(reversed(moves)), texts=dict(plan.texts))
        try:
            placing.apply(self.models_path, placing.begin(self.models_path))
        except OSError as error:
            why = f"it cannot be put into {self.models_path}: {error.strerror or error}"
            raise DownloadFailed(plan.name, why, hint="May the server write there?") from error


def _check_place(folder: Path, target: Path) -> None:
    """Make sure that a file can lie at `target`. Raises InvalidRequest."""
    inside = target.relative_to(folder).parents
    blocked = next((folder / one for one in inside if (folder / one).is_file()), None)
    if blocked is not None or target.is_dir():
        what = f"a file {blocked}" if blocked is not None else f"a folder {target}"
        raise InvalidRequest(
            f"There is {what} in the way of {target.relative_to(folder)}.",
            param="files",
            hint="Move it away, or install under another name.",
        )
