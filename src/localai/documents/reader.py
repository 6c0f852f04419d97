"""Reads documents without being harmed by them."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
import os
import signal
import sys
import tempfile
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from localai.documents.kinds import Kind
from localai.domain.errors import DocumentUnreadable, EngineFailed, TimedOut

if TYPE_CHECKING:
    from asyncio.subprocess import Process

_CHILD = Path(__file__).with_name("child.py")
_LONGEST_UTF8 = 4  # bytes of a character
_GRACE_S = 2.0  # the kernel ends a slow child by itself; this is for one that it cannot end
_PIECE_BYTES = 1 << 16
_OUT_OF_TIME = frozenset({signal.SIGALRM, signal.SIGXCPU, signal.SIGKILL})
_OUT_OF_MEMORY = frozenset({signal.SIGABRT, signal.SIGSEGV, signal.SIGTRAP, signal.SIGBUS})


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderLimits:
    """What reading one document may take, and how many are read at once."""

    most_bytes: int = 100_000_000
    most_pages: int = 2000
    most_images: int = 20
    seconds: int = 30
    memory_bytes: int = 1 << 30
    together: int = 2
    waiting_s: float = 60.0
    remembered_characters: int = 4_000_000


@dataclass(frozen=True, slots=True)
class Pages:
    """A document without text: its pages as PNG images."""

    images: tuple[bytes, ...]


class _Found(msgspec.Struct):
    """What the child writes; it is not trusted to write it."""

    text: str | None = None
    images: list[bytes] | None = None
    error: str = ""
    pages: int = 0


_decoder = msgspec.json.Decoder(_Found)


class DocumentReader:
    """Gives the text of documents. A document is read in a process of its own.

    `environment` is what that process needs to start. The texts of the last documents are
    remembered, because a conversation sends the same ones with every turn.
    """

    def __init__(
        self, limits: ReaderLimits | None = None, *, environment: Mapping[str, str] | None = None
    ) -> None:
        self._limits = limits or ReaderLimits()
        self._places = asyncio.Semaphore(self._limits.together)
        self._environment = dict(environment or {})
        self._memory = _Memory(self._limits.remembered_characters)

    async def read(
        self, file: BinaryIO, kind: Kind, name: str, *, most_characters: int, sees_images: bool
    ) -> str | Pages:
        """The text of `file`, or images of its pages when it has none and the model sees images.

        `name` is what errors call it. Raises DocumentUnreadable, TimedOut when too many others are
        being read, and EngineFailed when none can be.
        """
        size_bytes = await asyncio.to_thread(file.seek, 0, os.SEEK_END)
        if not size_bytes:
            raise DocumentUnreadable(name, "is empty")
        if size_bytes > self._limits.most_bytes:
            limit = f"{self._limits.most_bytes / 1e6:g} MB"
            raise DocumentUnreadable(name, f"is larger than {limit}, which is the limit")
        if kind is Kind.TEXT:
            return await asyncio.to_thread(_text, file, name, most_characters)
        key = await asyncio.to_thread(_digest, file, kind)
        text = self._memory.get(key)
        if text is not None:
            if len(text) > most_characters:
                raise _too_long(name, most_characters)
            return text
        async with self._place():
            found = await self._read(file, kind, name, most_characters, sees_images=sees_images)
        if found.text is not None:
            if not found.text.strip():
                raise DocumentUnreadable(name, "holds no text")
            self._memory.put(key, found.text)
            return found.text
        if found.images:
            return Pages(tuple(found.images))
        raise self._unreadable(name, found, most_characters, sees_images=sees_images)

    @contextlib.asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        waiting_s = self._limits.waiting_s
        try:
            async with asyncio.timeout(waiting_s):
                await self._places.acquire()
        except TimeoutError:
            hint = "Other documents are being read; try again in a moment."
            raise TimedOut("Waiting to read a document", timeout_s=waiting_s, hint=hint) from None
        try:
            yield
        finally:
            self._places.release()

    async def _read(
        self, file: BinaryIO, kind: Kind, name: str, most_characters: int, *, sees_images: bool
    ) -> _Found:
        limits = self._limits
        asked = {
            "kind": kind.value,
            "seconds": limits.seconds,
            "memory_bytes": limits.memory_bytes,
            "most_pages": limits.most_pages,
            "most_images": limits.most_images if sees_images else 0,
            "most_characters": most_characters,
        }
        try:
            process = await self._start(file, msgspec.json.encode(asked).decode())
        except OSError as error:
            message = f"The program that reads documents could not be started: {error}."
            raise EngineFailed(message) from error
        try:
            async with asyncio.timeout(limits.seconds + _GRACE_S):
                written = await _output(process, limits.memory_bytes)
                code = await process.wait()
        except TimeoutError:
            code, written = None, b""
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if code == 0:
            with contextlib.suppress(msgspec.MsgspecError):
                return _decoder.decode(written)
        if code is not None and code > 0:  # it answers for every document, so it did not begin
            message = f"The program that reads documents did not start (exit code {code})."
            raise EngineFailed(message, hint="Is the installation whole? `pip check` tells.")
        raise DocumentUnreadable(name, _why_it_died(code, limits))

    async def _start(self, file: BinaryIO, asked: str) -> Process:
        with await asyncio.to_thread(_on_disk, file) as given:
            return await asyncio.create_subprocess_exec(
                sys.executable, "-I", str(_CHILD), asked,
                stdin=given, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
                env={**self._environment, "LANG": "C.UTF-8"}, start_new_session=True,
            )  # fmt: skip

    def _unreadable(
        self, name: str, found: _Found, most_characters: int, *, sees_images: bool
    ) -> DocumentUnreadable:
        limits = self._limits
        scanned = f"has no text: its {found.pages} pages are images, as of a scanner"
        match found.error:
            case "long":
                return _too_long(name, most_characters)
            case "locked":
                hint = "Send it without a password."
                return DocumentUnreadable(name, "is protected by a password", hint=hint)
            case "memory":
                return DocumentUnreadable(name, _too_much_memory(limits))
            case "pages" if found.pages:
                why = f"has {found.pages} pages; at most {limits.most_pages} are read"
                return DocumentUnreadable(name, why, hint="Send a part of it.")
            case "scanned" if not sees_images:
                hint = "Send its text, or use a model that sees images."
                return DocumentUnreadable(name, scanned, hint=hint)
            case "many_images":
                why = f"{scanned}, and at most {limits.most_images} are shown to a model"
                return DocumentUnreadable(name, why, hint="Send a part of it.")
            case _:
                return DocumentUnreadable(
                    name, "is damaged: it begins like a PDF and cannot be read"
                )


def _on_disk(file: BinaryIO) -> BinaryIO:
    """A second handle of the file, or of a copy on the disk, for another process to read."""
    if isinstance(file, io.BytesIO):
        copy: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
        copy.write(file.getbuffer())
        copy.flush()
    else:
        copy = os.fdopen(os.dup(file.fileno()), "rb")
    os.lseek(copy.fileno(), 0, os.SEEK_SET)
    return copy


class _Memory:
    """The texts that were asked for last, up to a number of characters together."""

    def __init__(self, most_characters: int) -> None:
        self._most_characters = most_characters
        self._characters = 0
        self._texts: OrderedDict[bytes, str] = OrderedDict()

    def get(self, key: bytes) -> str | None:
        """The text, which is then the last that was asked for."""
        if key in self._texts:
            self._texts.move_to_end(key)
        return self._texts.get(key)

    def put(self, key: bytes, text: str) -> None:
        """Remember a text; forget the oldest where there is no room."""
        if len(text) > self._most_characters or key in self._texts:
            return
        self._texts[key] = text
        self._characters += len(text)
        while self._characters > self._most_characters:
            _, forgotten = self._texts.popitem(last=False)
            self._characters -= len(forgotten)


def _digest(file: BinaryIO, kind: Kind) -> bytes:
    """What a document is known by: the same bytes, read in the same way, give the same text."""
    file.seek(0)
    digest = hashlib.sha256(kind.value.encode())
    while piece := file.read(_PIECE_BYTES):
        digest.update(piece)
    return digest.digest()


async def _output(process: Process, most_bytes: int) -> bytes:
    assert process.stdout is not None
    pieces: list[bytes] = []
    size = 0
    while (piece := await process.stdout.read(_PIECE_BYTES)) and size <= most_bytes:
        pieces.append(piece)
        size += len(piece)
    return b"".join(pieces)


def _text(file: BinaryIO, name: str, most_characters: int) -> str:
    file.seek(0)
    data = file.read(most_characters * _LONGEST_UTF8 + 1)
    try:
        is_wide = data.startswith((b"\xff\xfe", b"\xfe\xff"))
        text = data.decode("utf-16" if is_wide else "utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if len(text) > most_characters or len(data) > most_characters * _LONGEST_UTF8:
        raise _too_long(name, most_characters)
    if "\0" in text:
        hint = "Text must be UTF-8. Of other formats, PDF and HTML are read."
        raise DocumentUnreadable(name, "holds no text that this server can read", hint=hint)
    if not text.strip():
        raise DocumentUnreadable(name, "holds no text")
    return text.replace("\r\n", "\n")


def _too_long(name: str, most_characters: int) -> DocumentUnreadable:
    why = f"has more than {most_characters} characters, which cannot fit in the model's context"
    return DocumentUnreadable(name, why, hint="Send a part of it.")


def _why_it_died(code: int | None, limits: ReaderLimits) -> str:
    if code is None or -code in _OUT_OF_TIME:
        return f"took longer than {limits.seconds} s to read, which is the limit"
    if -code in _OUT_OF_MEMORY:
        return _too_much_memory(limits)
    return "is damaged: its reader gave up"


def _too_much_memory(limits: ReaderLimits) -> str:
    return f"is damaged, or takes more than {limits.memory_bytes >> 20} MiB of memory to read"
