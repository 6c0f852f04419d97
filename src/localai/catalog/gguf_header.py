"""The header of one GGUF file, every number in it checked before an engine relies on it.

An engine reads these files with C code and trusts much of what they say, so a cut or hostile file
can kill its process. Everything here is bounded by the file's real size: nothing is allocated
because a length field asks for it, and lists of tokens are stepped over, not built.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from math import isfinite, prod
from pathlib import Path
from struct import Struct
from typing import BinaryIO, Final

from localai.catalog.gguf_types import (
    ARRAY,
    BOOL,
    FILL_IN_MIDDLE_TOKENS,
    RETIRED_TENSOR_TYPES,
    SCALARS,
    STRING,
    TENSOR_TYPES,
)
from localai.domain.errors import ModelFileInvalid

MAGIC: Final = b"GGUF"
VERSIONS: Final = (2, 3)
DOWNLOAD_AGAIN: Final = "The file is damaged or incomplete; download it again."

# Limits. Published files stay far below: the largest known have 300,000 tokens and 3,000 tensors.
MOST_KEYS: Final = 65_536
MOST_TENSORS: Final = 100_000
MOST_ELEMENTS: Final = 16_000_000
LONGEST_NAME: Final = 65_535  # of a key; the specification's limit
LONGEST_TENSOR_NAME: Final = 63  # the engine keeps names in 64 bytes
LONGEST_STRING: Final = 64 << 20
MOST_DIMENSIONS: Final = 4
LARGEST_ALIGNMENT: Final = 1 << 20
DEFAULT_ALIGNMENT: Final = 32

KEPT_STRING: Final = 4 << 20  # longer values (no chat template is) are stepped over
KEPT_ELEMENTS: Final = 1024  # per-layer lists are kept, token lists are not
KEPT_BYTES: Final = 16 << 20  # of all values together; what comes after is stepped over
WINDOW: Final = 1 << 20

_U32, _U64 = Struct("<I"), Struct("<Q")

Value = int | float | bool | str | tuple[int | float | bool, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GgufHeader:
    """What a header says. `values` leaves out long lists; `list_lengths` counts every list."""

    values: Mapping[str, Value]
    list_lengths: Mapping[str, int]
    has_fill_in_middle_token: bool
    tensors: int
    parameters: int


def read_header(path: Path) -> GgufHeader:
    """Read and check the header of one GGUF file. Raises ModelFileInvalid."""
    try:
        with path.open("rb", buffering=0) as file:
            return _Parser(file, path).header()
    except OSError as error:
        reason = error.strerror or str(error)
        raise ModelFileInvalid(
            f"{path.name} cannot be read: {reason}.", path=str(path), hint="Check its permissions."
        ) from error


class _Reader:
    """Walks forward through a file by a window, and never past its end."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self.path = path
        self.size = os.fstat(file.fileno()).st_size
        self.position = 0
        self._file = file
        self._window = b""
        self._start = 0

    def fail(self, message: str, *, hint: str = DOWNLOAD_AGAIN) -> ModelFileInvalid:
        return ModelFileInvalid(f"{self.path.name}: {message}", path=str(self.path), hint=hint)

    def _load(self, position: int, length: int) -> None:
        self._file.seek(position)
        wanted = min(max(length, WINDOW), self.size - position)
        self._window = b""
        self._start = position
        while len(self._window) < wanted:
            piece = self._file.read(wanted - len(self._window))
            if not piece:
                raise self.fail("the file became shorter while it was read.")
            self._window += piece

    def require(self, length: int, what: str) -> None:
        left = self.size - self.position
        if length > left:
            raise self.fail(
                f"{what} needs {length} bytes at byte {self.position}, "
                f"but the file ends after {left} more."
            )

    def take(self, length: int, what: str) -> bytes:
        self.require(length, what)
        if self.position + length > self._start + len(self._window):
            self._load(self.position, length)
        begin = self.position - self._start
        self.position += length
        return self._window[begin : begin + length]

    def u32(self, what: str) -> int:
        return int(_U32.unpack(self.take(4, what))[0])

    def u64(self, what: str) -> int:
        return int(_U64.unpack(self.take(8, what))[0])

    def text(self, what: str, limit: int) -> str:
        length = self.u64(f"the length of {what}")
        if length > limit:
            raise self.fail(f"{what} is {length} bytes long; the limit is {limit}.")
        return self.take(length, what).decode("utf-8", "replace")

    def skip(self, length: int, what: str) -> None:
        self.require(length, what)
        self.position += length

    def skip_strings(self, count: int, what: str) -> None:
        """Step over `count` strings, checking that each lies inside the file.

        This loop sees every token of a vocabulary, so it keeps to local names.
        """
        unpack, size, position, done = _U64.unpack_from, self.size, self.position, 0
        while done < count:
            self.position = position
            self.require(8 * (count - done), what)
            self._load(position, 8)
            window, start = self._window, self._start
            last = start + len(window) - 8
            while done < count and position <= last:
                position += 8 + unpack(window, position - start)[0]
                done += 1
            if position > size:
                raise self.fail(f"entry {done - 1} of {what} ends after the file does.")
        self.position = position

    def contains(self, begin: int, end: int, patterns: tuple[bytes, ...]) -> bool:
        """Whether any pattern occurs between two places that were stepped over."""
        overlap = max(map(len, patterns)) - 1
        for position in range(begin, end, WINDOW):
            self._load(position, min(WINDOW + overlap, end - position))
            part = self._window[: min(WINDOW + overlap, end - position)]
            if any(pattern in part for pattern in patterns):
                return True
        return False


def _as_stored(text: str) -> bytes:
    data = text.encode()
    return _U64.pack(len(data)) + data


_FILL_IN_MIDDLE = tuple(map(_as_stored, FILL_IN_MIDDLE_TOKENS))


class _Parser:
    """Reads the parts of a header in their order."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._reader = _Reader(file, path)
        self._values: dict[str, Value] = {}
        self._list_lengths: dict[str, int] = {}
        self._has_fill_in_middle_token = False
        self._may_keep = KEPT_BYTES

    def header(self) -> GgufHeader:
        self._check_magic()
        reader = self._reader
        tensors = self._count("tensors", MOST_TENSORS)
        keys = self._count("keys", MOST_KEYS)
        for _ in range(keys):
            self._read_pair()
        alignment = self._alignment()
        sizes = dict(self._read_tensors(tensors, alignment))
        data_start = -(-reader.position // alignment) * alignment
        for name, (offset, size, _) in sizes.items():
            if data_start + offset + size > reader.size:
                raise reader.fail(
                    f"the tensor {name!r} ends at byte {data_start + offset + size}, "
                    f"but the file ends at byte {reader.size}."
                )
        return GgufHeader(
            values=self._values,
            list_lengths=self._list_lengths,
            has_fill_in_middle_token=self._has_fill_in_middle_token,
            tensors=tensors,
            parameters=sum(weights for _, _, weights in sizes.values()),
        )

    def _check_magic(self) -> None:
        reader = self._reader
        if reader.take(4, "the format mark") != MAGIC:
            raise reader.fail("this is not a GGUF file.")
        version = reader.u32("the format version")
        if version in VERSIONS:
            return
        if version & 0xFFFF == 0:
            raise reader.fail(
                "this GGUF file was written for big-endian machines.",
                hint="Get the usual, little-endian file.",
            )
        raise reader.fail(
            f"this is GGUF version {version}; versions 2 and 3 can be read.",
            hint="Get a newer conversion of this model."
            if version < min(VERSIONS)
            else "Update local-ai, or get a conversion in version 3.",
        )

    def _count(self, what: str, limit: int) -> int:
        count = self._reader.u64(f"the number of {what}")
        if count > limit:
            raise self._reader.fail(f"the header announces {count} {what}; the limit is {limit}.")
        return count

    def _read_pair(self) -> None:
        reader = self._reader
        key = reader.text("a key", LONGEST_NAME)
        if not key or key in self._values or key in self._list_lengths:
            raise reader.fail(f"the key {key!r} is {'there twice' if key else 'empty'}.")
        kind = reader.u32(f"the type of {key!r}")
        if kind == ARRAY:
            self._read_list(key)
        else:
            self._values[key] = self._read_single(key, kind)

    def _read_single(self, key: str, kind: int) -> Value:
        reader, what = self._reader, f"the value of {key!r}"
        if kind == STRING:
            length = reader.u64(what)
            if length > LONGEST_STRING:
                raise reader.fail(f"{what} is {length} bytes long; the limit is {LONGEST_STRING}.")
            if length > KEPT_STRING or not self._keeps(length):
                reader.skip(length, what)
                return ""
            return reader.take(length, what).decode("utf-8", "replace")
        layout = self._layout(key, kind)
        value = layout.unpack(reader.take(layout.size, what))[0]
        if isinstance(value, float) and not isfinite(value):
            raise reader.fail(f"{what} is {value}, no number.")
        return self._checked_bool(key, value) if kind == BOOL else value

    def _keeps(self, size: int) -> bool:
        """Whether a value of `size` bytes in memory may be kept; counts it if so."""
        fits = size <= self._may_keep
        self._may_keep -= size if fits else 0
        return fits

    def _layout(self, key: str, kind: int) -> Struct:
        layout = SCALARS.get(kind)
        if layout is None:
            raise self._reader.fail(f"the key {key!r} has the unknown value type {kind}.")
        return layout

    def _checked_bool(self, key: str, value: int) -> bool:
        if value > 1:
            raise self._reader.fail(f"the key {key!r} is {value}; a yes-or-no value is 0 or 1.")
        return bool(value)

    def _read_list(self, key: str) -> None:
        reader, what = self._reader, f"the list {key!r}"
        kind = reader.u32(f"the entry type of {key!r}")
        count = reader.u64(f"the length of {key!r}")
        if kind == ARRAY:
            raise reader.fail(f"{what} holds lists, which no engine reads.")
        if count > MOST_ELEMENTS:
            raise reader.fail(f"{what} has {count} entries; the limit is {MOST_ELEMENTS}.")
        self._list_lengths[key] = count
        if kind == STRING:
            begin = reader.position
            reader.skip_strings(count, what)
            if key == "tokenizer.ggml.tokens":
                self._has_fill_in_middle_token = reader.contains(
                    begin, reader.position, _FILL_IN_MIDDLE
                )
            return
        layout = self._layout(key, kind)
        if count > KEPT_ELEMENTS or not self._keeps(8 * count):
            reader.skip(count * layout.size, what)
            return
        data = reader.take(count * layout.size, what)
        self._values[key] = tuple(value for (value,) in layout.iter_unpack(data))

    def _alignment(self) -> int:
        alignment = self._values.get("general.alignment", DEFAULT_ALIGNMENT)
        is_power = (
            isinstance(alignment, int)
            and 0 < alignment <= LARGEST_ALIGNMENT
            and alignment & (alignment - 1) == 0
        )
        if not is_power or isinstance(alignment, bool) or not isinstance(alignment, int):
            raise self._reader.fail(
                f"the key 'general.alignment' is {alignment!r}; "
                f"it must be a power of two up to {LARGEST_ALIGNMENT}."
            )
        return alignment

    def _read_tensors(
        self, count: int, alignment: int
    ) -> Iterator[tuple[str, tuple[int, int, int]]]:
        """Give (name, (offset in the data section, bytes, weights)) of each tensor."""
        seen: set[str] = set()
        for _ in range(count):
            name = self._reader.text("a tensor's name", LONGEST_TENSOR_NAME)
            if name in seen:
                raise self._reader.fail(f"the tensor {name!r} is there twice.")
            seen.add(name)
            yield name, self._read_tensor(name, alignment)

    def _read_tensor(self, name: str, alignment: int) -> tuple[int, int, int]:
        reader = self._reader
        rank = reader.u32(f"the shape of the tensor {name!r}")
        if not 1 <= rank <= MOST_DIMENSIONS:
            raise reader.fail(
                f"the tensor {name!r} has {rank} dimensions; the engine reads 1 to "
                f"{MOST_DIMENSIONS}."
            )
        shape = [reader.u64(f"the shape of the tensor {name!r}") for _ in range(rank)]
        kind = reader.u32(f"the type of the tensor {name!r}")
        offset = reader.u64(f"the place of the tensor {name!r}")
        if offset % alignment:
            raise reader.fail(
                f"the tensor {name!r} begins at {offset}, no multiple of {alignment}."
            )
        weights = prod(shape)
        return offset, self._tensor_bytes(name, kind, shape, weights), weights

    def _tensor_bytes(self, name: str, kind: int, shape: list[int], weights: int) -> int:
        reader = self._reader
        stored = TENSOR_TYPES.get(kind)
        if stored is None:
            raise reader.fail(
                f"the tensor {name!r} has the {_how_unknown(kind)} type {kind}.",
                hint="Get a current conversion of this model, or update local-ai.",
            )
        if not 0 < weights < 1 << 63:
            raise reader.fail(f"the tensor {name!r} has the impossible shape {shape}.")
        if shape[0] % stored.block:
            raise reader.fail(
                f"the tensor {name!r} has rows of {shape[0]}; "
                f"{stored.name} needs a multiple of {stored.block}."
            )
        return weights // stored.block * stored.size_bytes


def _how_unknown(kind: int) -> str:
    return "retired" if kind in RETIRED_TENSOR_TYPES else "unknown"


def magic_of(path: Path, length: int = 64) -> bytes:
    """Give the first bytes of a file; nothing where it cannot be read, or is a pipe or the like."""
    with suppress(OSError):
        if path.is_file():
            with path.open("rb") as file:
                return file.read(length)
    return b""
