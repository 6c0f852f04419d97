"""Fetching one file: several ranges at a time, gone on with after every interruption.

The first request says whether the server knows ranges. If it does, connections take the next piece
that is missing, each at its own pace; if not, one connection reads the whole. The checksum follows
the part without gaps, which is still in the system's memory then.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Final

from tenacity import AsyncRetrying

from localai.domain.errors import ChecksumMismatch, FetchFailed, LocalAIError
from localai.domain.source_errors import UNREACHABLE, DownloadFailed
from localai.downloads import answers
from localai.downloads.digest import Digest
from localai.downloads.flush import Flush
from localai.downloads.patience import Patience, Piece, TryAgain
from localai.downloads.threads import in_thread
from localai.outbound import PrivateAddress, Untrusted
from localai.outbound.client import origin

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from localai.domain.downloads import RemoteFile
    from localai.downloads.partial import Partial
    from localai.downloads.tools import Tools
    from localai.outbound import Response

_WRITE_BYTES: Final = 1 << 20
_LEAST_BYTES: Final = 1 << 14
_WRITE_EVERY_S: Final = 0.2  # from a slow server, so that a kill costs little
_MOST_PIECES: Final = 256  # of one write; the system takes 1024
_MOST_RESTARTS: Final = 2
PRIVATE_HINT: Final = (
    "--allow-private-fetch (LOCALAI_ALLOW_PRIVATE_FETCH=true) allows the own network."
)


class _Changed(Exception):
    """The file is another one than before: what came is of no use."""


class Transfer:
    """One file, from its server into `partial`."""

    def __init__(self, file: RemoteFile, partial: Partial, tools: Tools) -> None:
        self._file = file
        self._partial = partial
        self._tools = tools
        self._settings = tools.settings
        self._digest = Digest(partial, tools.threads)
        self._flush = Flush(partial, tools.threads)
        self._busy: list[Piece] = []
        self._direct = ""  # where the last redirect led
        self._knows_ranges: bool | None = None
        self._total: int | None = None
        self._began = asyncio.Event()  # the first answer has come
        self._moved = asyncio.Event()  # a piece has ended
        self._is_complete = False
        self._is_checked = False  # the old bytes are of the version that the server has
        rate = tools.settings.bytes_per_s
        self._write_bytes = (
            min(_WRITE_BYTES, max(_LEAST_BYTES, int(rate / 4))) if rate else _WRITE_BYTES
        )

    @property
    def total_bytes(self) -> int | None:
        """The size of the file, None while nobody knows."""
        return self._total if self._total is not None else self._file.size_bytes

    async def run(self) -> None:
        """Fetch what is missing and verify the whole.

        Raises ChecksumMismatch, DownloadFailed, SourceNotFound, SourceForbidden, StorageFull.
        """
        known = self._partial.known
        if known.is_verified and self._file.sha256 in ("", known.sha256):
            self._total = known.size_bytes
            return
        had_bytes = bool(self._partial.ranges.size)
        for restart in range(_MOST_RESTARTS + 1):
            try:
                await self._fetch()
                await self._verify()
                return
            except _Changed:
                if restart == _MOST_RESTARTS:
                    raise DownloadFailed(
                        self._file.name, "it changes at its server all the time"
                    ) from None
            except ChecksumMismatch:
                self._partial.reset()
                if not had_bytes:
                    raise
            had_bytes = False
            self._start_over()

    def _start_over(self) -> None:
        self._partial.reset()
        self._digest = Digest(self._partial, self._tools.threads)
        self._flush = Flush(self._partial, self._tools.threads)
        self._busy.clear()
        self._direct = ""
        self._total = self._knows_ranges = None
        self._is_complete = self._is_checked = False
        self._began.clear()

    async def _fetch(self) -> None:
        known = self._partial.known
        self._total = known.size_bytes
        if self._total is not None and self._partial.ranges.prefix == self._total:
            self._is_complete = True  # only the verification is missing
            self._digest.wake(is_complete=True)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._digest.follow())
                group.create_task(self._flush.follow())
                group.create_task(self._connections())
        except BaseExceptionGroup as errors:
            raise _first(errors) from None

    async def _connections(self) -> None:
        """The first connection, and the others as soon as they are of use."""
        if not self._is_complete:
            async with asyncio.TaskGroup() as group:
                leading = group.create_task(self._lead())
                began = group.create_task(self._began.wait())
                await asyncio.wait({leading, began}, return_when=asyncio.FIRST_COMPLETED)
                began.cancel()
                if self._knows_ranges and not leading.done():
                    for _ in range(1, self._settings.connections):
                        group.create_task(self._help())
        self._is_complete = True
        self._digest.wake(is_complete=True)
        self._flush.end()

    async def _lead(self) -> None:
        """Fetch pieces until all are there, those that others gave up included."""
        while True:
            self._moved.clear()
            piece = self._take()
            if piece is not None:
                await self._with_patience(piece)
            elif not self._busy:
                return
            else:
                await self._moved.wait()

    async def _help(self) -> None:
        """Fetch pieces while there are any; leave when the server has enough of us."""
        with contextlib.suppress(
            TryAgain, DownloadFailed
        ):  # the leading connection says what is wrong
            while (piece := self._take()) is not None:
                await self._with_patience(piece, is_helping=True)

    def _take(self) -> Piece | None:
        """The next range to fetch, None when all are there or on their way."""
        if self._total is None or self._knows_ranges is False:
            prefix = self._partial.ranges.prefix
            if self._busy or prefix == self._total:
                return None
            piece = Piece(prefix, None, prefix)
            if self._knows_ranges is None:  # ask for one piece: the answer tells the size
                piece.end = prefix + self._settings.piece_bytes
            self._busy.append(piece)
            return piece
        for gap_start, gap_end in self._partial.ranges.gaps(self._total):
            start = gap_start
            for busy in sorted(self._busy, key=lambda one: one.at):
                if busy.at <= start < (busy.end or self._total):
                    start = busy.end or self._total
            if start < gap_end:
                limit = min((one.at for one in self._busy if one.at > start), default=gap_end)
                end = min(start + self._settings.piece_bytes, gap_end, limit)
                piece = Piece(start, end, start)
                self._busy.append(piece)
                return piece
        return None

    async def _with_patience(self, piece: Piece, *, is_helping: bool = False) -> None:
        """Fetch one piece, again and again while that brings something new."""
        patience = Patience(self._settings, piece, is_helping=is_helping)
        try:
            async for attempt in AsyncRetrying(
                retry=patience.hopes, wait=patience.pause_s, stop=patience.is_over, reraise=True
            ):
                with attempt:
                    await self._once(piece)
        except TryAgain as error:
            raise DownloadFailed(self._file.name, error.why) from None
        finally:
            with contextlib.suppress(ValueError):  # after a restart it is not there any more
                self._busy.remove(piece)
            self._moved.set()

    async def _once(self, piece: Piece) -> None:
        """One request for what is missing of `piece`. Raises TryAgain when it stops short."""
        headers = {}
        if piece.end is not None:
            headers["Range"] = f"bytes={piece.at}-{piece.end - 1}"
            if self._partial.known.tag and not self._file.sha256:
                headers["If-Range"] = self._partial.known.tag
        try:
            for again in (False, True):
                async with contextlib.AsyncExitStack() as stack:
                    response = await stack.enter_async_context(self._ask(headers, again=again))
                    may_renew = bool(self._direct or self._file.credentials) and not again
                    if response.status in answers.REFUSED and may_renew:
                        self._direct = ""
                        continue  # a signed address or a token ran out
                    await self._accept(piece, response)
                    return
        except FetchFailed as error:
            why = f"{error.fields['address']} {error.fields['why']}"
            hint = PRIVATE_HINT if "private network" in why else ""
            raise DownloadFailed(self._file.name, why, hint=hint) from None
        except Untrusted as error:
            raise DownloadFailed(
                self._file.name,
                f"the certificate of {error.host} is not trusted: {error}",
                hint="Is there a proxy with a certificate of its own? SSL_CERT_FILE names it.",
            ) from error
        except PrivateAddress as error:
            raise DownloadFailed(self._file.name, str(error), hint=PRIVATE_HINT) from None
        except TimeoutError as error:
            raise TryAgain("its server sent nothing for a while") from error
        except OSError as error:
            raise TryAgain(_reason(error)) from error

    @contextlib.asynccontextmanager
    async def _ask(
        self, headers: Mapping[str, str], *, again: bool
    ) -> AsyncGenerator[Response, None]:
        secret = {}
        address = self._direct or self._file.address
        if self._file.credentials is not None and origin(address) == origin(self._file.address):
            secret = dict(await self._file.credentials(again))
        async with self._tools.client.get(address, headers, secret) as response:
            landed = response.address
            if response.status in (answers.OK, answers.PARTIAL) and landed != address:
                self._direct = landed
            yield response

    async def _accept(self, piece: Piece, response: Response) -> None:
        status, headers = response.status, response.headers
        if status == answers.PARTIAL:
            self._accept_part(piece, headers)
        elif status == answers.OK:
            self._accept_whole(piece, headers)
        elif status == answers.NOT_SATISFIABLE:
            if self._partial.ranges.size or piece.at:
                raise _Changed
            if self.total_bytes in (None, 0):  # an empty file has no range
                self._settle(0)
                return
            raise answers.refusal(self._file.name, self._file.address, status, headers)
        else:
            self._refuse(status, headers)
        if headers.get("Content-Encoding", "identity") != "identity":
            raise DownloadFailed(self._file.name, "its server sends it compressed, which was not asked for")  # fmt: skip
        self._began.set()
        await self._read(piece, response)

    def _refuse(self, status: int, headers: Mapping[str, str]) -> None:
        """Raise what a status other than success means."""
        if self._direct and not answers.is_later(status):
            self._direct = ""  # the address that a redirect led to was for a short time
            raise TryAgain(f"its server answered with status {status}")
        if not answers.is_later(status):
            raise answers.refusal(self._file.name, self._file.address, status, headers)
        wait_s = answers.wait_s(headers)
        if wait_s > self._settings.longest_wait_s:
            raise DownloadFailed(
                self._file.name, f"its server asks to wait {wait_s:.0f} s (status {status})"
            )
        why = f"its server answered with status {status}"
        raise TryAgain(why, wait_s=wait_s, is_full=status in answers.TOO_MUCH)

    def _accept_part(self, piece: Piece, headers: Mapping[str, str]) -> None:
        part = answers.part_of(headers)
        if part is None or part[0] != piece.at or piece.end is None:
            raise DownloadFailed(self._file.name, "its server sends another part than was asked for")  # fmt: skip
        _, end, total = part
        self._check_tag(headers)
        if total is None:
            raise DownloadFailed(self._file.name, "its server does not say how large it is")
        self._settle(total)
        self._knows_ranges = True
        piece.end = min(piece.end, end, total)

    def _accept_whole(self, piece: Piece, headers: Mapping[str, str]) -> None:
        """The server sends everything: it knows no ranges, or the file has changed."""
        if self._knows_ranges:
            raise _Changed  # other connections may be at work
        if self._partial.ranges.size:
            self._partial.reset()
            self._digest.restart()
        self._knows_ranges = False
        length = headers.get("Content-Length")
        if length is not None:
            self._settle(int(length))
        self._partial.known.tag = answers.tag_of(headers)
        piece.start = piece.at = 0
        piece.end = self.total_bytes

    def _check_tag(self, headers: Mapping[str, str]) -> None:
        tag, known = answers.tag_of(headers), self._partial.known
        has_old = bool(self._partial.ranges.size) and not self._is_checked
        self._is_checked = True
        if self._file.sha256:
            return  # the checksum says more
        if has_old and (not known.tag or tag != known.tag):
            raise _Changed
        if known.tag and tag and tag != known.tag:
            raise _Changed
        known.tag = tag

    def _settle(self, total: int) -> None:
        """The server has said how large the file is: it has to agree with what was announced."""
        announced = self._file.size_bytes
        if announced is not None and total != announced:
            raise DownloadFailed(
                self._file.name, f"its server has {total} bytes, and {announced} were announced"
            )
        if self._total is not None and self._total != total:
            raise _Changed
        if self._total is None:
            self._partial.check_room(total, self._settings.spare_bytes)
        self._total = self._partial.known.size_bytes = total

    async def _read(self, piece: Piece, response: Response) -> None:
        """Write what comes; raise TryAgain when the piece is not whole in the end."""
        pieces: list[bytes] = []
        size = 0
        failed: OSError | None = None
        written_s = time.monotonic()
        while failed is None:
            try:
                data = await response.read_some()
            except OSError as error:
                data, failed = b"", error
            if piece.end is not None:
                data = data[: piece.end - piece.at - size]
            pieces.append(data)
            size += len(data)
            is_last = not data or piece.at + size == piece.end
            is_due = time.monotonic() >= written_s + _WRITE_EVERY_S
            if size >= self._write_bytes or len(pieces) >= _MOST_PIECES or is_last or is_due:
                await in_thread(self._tools.threads, self._partial.write, piece.at, pieces)
                self._partial.add(piece.at, piece.at + size)
                piece.at += size
                self._digest.wake()
                self._flush.wrote(size)
                await self._tools.limiter.pass_through(size)
                pieces, size, written_s = [], 0, time.monotonic()
            if is_last:
                break
        if failed is not None:
            raise failed
        if piece.end is None or (self._total is None and piece.at == piece.end):
            self._settle(piece.at)
        elif piece.at < piece.end:
            raise TryAgain(f"the connection ended after {piece.at} bytes")

    async def _verify(self) -> None:
        total = self._total or 0
        found = self._digest.hexdigest
        if self._file.sha256 and found != self._file.sha256:
            raise ChecksumMismatch(
                f"{self._file.name} has the checksum {found}, and {self._file.sha256} was announced (SHA-256).",
                hint="It was removed. Try again; if it stays so, the file or its entry has changed.",
            )
        await in_thread(self._tools.threads, self._partial.verified, found, total)


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error that ended a group of tasks: ours before any other."""
    found = [
        _first(error) if isinstance(error, BaseExceptionGroup) else error
        for error in errors.exceptions
    ]
    ours = [error for error in found if isinstance(error, (LocalAIError, _Changed))]
    return (ours or found)[0]


def _reason(error: Exception) -> str:
    """What went wrong on the network, without a server's words."""
    text = str(error).strip().rstrip(".") or type(error).__name__
    return text[:200] if UNREACHABLE in text else f"the connection broke ({text[:200]})"
