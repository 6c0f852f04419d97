"""What a weights file is, and whether it is safe to hand to an engine.

`read_gguf` is the gate: it reads the header, checks every number in it (`gguf_header`) and gives
the facts that the defaults need. A model in several parts is checked part by part.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from localai.catalog.gguf_header import (
    DOWNLOAD_AGAIN,
    MAGIC,
    GgufHeader,
    Value,
    magic_of,
    read_header,
)
from localai.catalog.gguf_types import FILE_TYPES, POOLING_TYPES
from localai.domain.errors import ModelFileInvalid

FileKind = Literal["gguf", "ggml", "safetensors"]

# "ggml", "ggmf", "ggjt" and "ggla" as little-endian numbers: formats that GGUF replaced in 2023.
OLD_MAGICS: Final = (b"lmgg", b"fmgg", b"tjgg", b"algg")

PART: Final = re.compile(r"^(?P<stem>.+)-(?P<part>\d{5})-of-(?P<parts>\d{5})\.gguf$", re.IGNORECASE)

# Limits, far above anything published.
MOST_PARTS: Final = 999
MOST_LAYERS: Final = 512  # the engine aborts on more
LONGEST_CONTEXT: Final = (1 << 31) - 1
MOST_NAMED: Final = 3  # missing parts that an error lists by name


@dataclass(frozen=True, slots=True, kw_only=True)
class GgufFacts:
    """What a GGUF model says about itself; unknown numbers are 0, unknown names empty.

    `kv_heads` has one entry per layer. `key_length` and `value_length` are per head. `file_type`
    is the quantisation name (Q4_K_M). `kind` is "model", "adapter" (LoRA), "mmproj" or "imatrix".
    `size_bytes` and `parameters` add up all parts. `values` holds every other short value.
    """

    path: Path
    kind: str
    architecture: str
    name: str
    context_length: int
    embedding_length: int
    block_count: int
    heads: int
    kv_heads: tuple[int, ...]
    key_length: int
    value_length: int
    vocabulary_size: int
    tokenizer_model: str
    chat_template: str | None
    file_type: str
    pooling: str | None
    has_fill_in_middle: bool
    parameters: int
    size_bytes: int
    parts: tuple[Path, ...]
    values: Mapping[str, Value] = field(default_factory=dict, repr=False)

    @property
    def has_chat_template(self) -> bool:
        """Whether the file says how a conversation is written."""
        return self.chat_template is not None

    def kv_bytes(self, context_size: int, *, bytes_per_value: float = 2.0) -> int:
        """Estimate the memory of the attention cache for `context_size` tokens, in bytes."""
        per_head = self.key_length + self.value_length
        return int(context_size * sum(self.kv_heads) * per_head * bytes_per_value)


def looks_like(path: Path) -> FileKind | None:
    """Tell the format of a weights file by its first bytes; None when unknown or unreadable."""
    return _kind_of(magic_of(path))


def _kind_of(head: bytes) -> FileKind | None:
    if head[:4] == MAGIC:
        return "gguf"
    if head[:4] in OLD_MAGICS:
        return "ggml"
    if head[8:10] == b'{"':
        return "safetensors"
    return None


def read_gguf(path: Path) -> GgufFacts:
    """Read the facts of a GGUF model after checking that an engine can be given the file.

    `path` is the model or its first part. Raises ModelFileInvalid with what is wrong and what to
    do. Reads the header only; the weights are not looked at.
    """
    _check_is_gguf(path)
    parts = _parts(path)
    headers = [read_header(part) for part in parts]
    _check_parts(parts, headers)
    size_bytes = sum(_size_bytes(part) for part in parts)
    return _Values(path, headers[0]).facts(parts, headers, size_bytes)


def _size_bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise _invalid(path, f"{path.name} vanished while it was read.", DOWNLOAD_AGAIN) from error


def _invalid(path: Path, message: str, hint: str) -> ModelFileInvalid:
    return ModelFileInvalid(message, path=str(path), hint=hint)


def _check_is_gguf(path: Path) -> None:
    """Raise the sentence that fits what the file is instead."""
    name = path.name
    if path.is_dir():
        raise _invalid(
            path, f"{name} is a folder, not a GGUF file.", "Name the .gguf file inside it."
        )
    if not path.is_file():
        raise _invalid(
            path,
            f"The weights file {path} does not exist.",
            "Put it there, or correct `parameters.model` in the model's file.",
        )
    head = magic_of(path)
    if head[:4] == MAGIC:
        return
    message, hint = _what_instead(head)
    raise _invalid(path, f"{name}: {message}", hint)


def _what_instead(head: bytes) -> tuple[str, str]:
    if not head:
        return (
            "the file is empty or cannot be read.",
            "Download it again, or check who may read it.",
        )
    if _kind_of(head) == "ggml":
        return (
            "this is a file in the old GGML format, which was replaced by GGUF.",
            "Get a GGUF file of the model, or convert it to GGUF with llama.cpp's scripts.",
        )
    if _kind_of(head) == "safetensors":
        return (
            "this is a safetensors file; the engine reads GGUF.",
            "Get a GGUF file of the model, or convert it with llama.cpp's convert_hf_to_gguf.py.",
        )
    if head.startswith(b"version https://git-lfs"):
        return "this is a Git LFS pointer, not the weights.", "Fetch the file with `git lfs pull`."
    if head.lstrip().lower().startswith((b"<!doctype", b"<html")):
        return "this is a web page, not the weights.", "Download the file itself, not its page."
    return f"this is not a GGUF file: it begins with {head[:4]!r}, not b'GGUF'.", DOWNLOAD_AGAIN


def _parts(path: Path) -> tuple[Path, ...]:
    """Give all files of a model, `path` first. Raises ModelFileInvalid when one is missing."""
    match = PART.match(path.name)
    if match is None:
        return (path,)
    if int(match["part"]) != 1:
        first = f"{match['stem']}-00001-of-{match['parts']}.gguf"
        raise _invalid(path, f"{path.name} is not the first part of its model.", f"Use {first}.")
    total = int(match["parts"])
    if total > MOST_PARTS:
        raise _invalid(
            path,
            f"{path.name} is one of {total} parts; the limit is {MOST_PARTS}.",
            "Get a file with fewer parts.",
        )
    parts = tuple(
        path.with_name(f"{match['stem']}-{part:05d}-of-{total:05d}.gguf")
        for part in range(1, total + 1)
    )
    missing = [part.name for part in parts if not part.is_file()]
    if missing:
        raise _invalid(
            path,
            f"{len(missing)} of the {total} parts of this model are missing: "
            f"{', '.join(missing[:MOST_NAMED])}{' ...' if len(missing) > MOST_NAMED else ''}.",
            "Download them into the same folder.",
        )
    return (path, *parts[1:])


def _check_parts(parts: tuple[Path, ...], headers: list[GgufHeader]) -> None:
    announced = headers[0].values.get("split.count", 0)
    if isinstance(announced, int) and announced not in {0, len(parts)}:
        raise _invalid(
            parts[0],
            f"{parts[0].name} belongs to a model in {announced} parts, "
            f"but its name says {len(parts)}.",
            "Give the parts their original names: NAME-00001-of-0000N.gguf.",
        )
    total = headers[0].values.get("split.tensors.count", 0)
    found = sum(header.tensors for header in headers)
    if len(parts) > 1 and isinstance(total, int) and total not in {0, found}:
        raise _invalid(
            parts[0],
            f"The parts of {parts[0].name} hold {found} tensors; the first announces {total}.",
            "The parts are of different downloads; download all of them again.",
        )


class _Values:
    """Looks values up by type, so that a damaged key reads as an absent one."""

    def __init__(self, path: Path, header: GgufHeader) -> None:
        self._path = path
        self._header = header
        self._architecture = self._text("general.architecture")
        if not self._architecture:
            raise _invalid(
                path,
                f"{path.name} does not say its architecture.",
                "Download it again, or get another conversion of this model.",
            )

        if self._kind() == "model":
            self._check_range("block_count", MOST_LAYERS)
            self._check_range("context_length", LONGEST_CONTEXT)

    def _check_range(self, key: str, limit: int) -> None:
        """Refuse a size that stops the whole engine instead of failing the load."""
        size = self._own(key, 1)
        if not 1 <= size <= limit:
            raise _invalid(
                self._path,
                f"{self._path.name}: the key '{self._architecture}.{key}' is {size}; "
                f"it must be 1 to {limit}.",
                DOWNLOAD_AGAIN,
            )

    def facts(
        self, parts: tuple[Path, ...], headers: list[GgufHeader], size_bytes: int
    ) -> GgufFacts:
        heads = max(self._per_layer("attention.head_count"), default=0)
        width = self._own("embedding_length")
        head_length = width // heads if heads else 0
        return GgufFacts(
            path=self._path,
            kind=self._kind(),
            architecture=self._architecture,
            name=self._text("general.name"),
            context_length=self._own("context_length"),
            embedding_length=width,
            block_count=self._own("block_count"),
            heads=heads,
            kv_heads=self._per_layer("attention.head_count_kv")
            or self._per_layer("attention.head_count"),
            key_length=self._own("attention.key_length") or head_length,
            value_length=self._own("attention.value_length") or head_length,
            vocabulary_size=self._vocabulary_size(),
            tokenizer_model=self._text("tokenizer.ggml.model"),
            chat_template=self._text("tokenizer.chat_template") or None,
            file_type=FILE_TYPES.get(self._whole("general.file_type", -1), ""),
            pooling=POOLING_TYPES.get(self._own("pooling_type", -1)),
            has_fill_in_middle=self._has_fill_in_middle(),
            parameters=sum(header.parameters for header in headers),
            size_bytes=size_bytes,
            parts=parts,
            values=self._header.values,
        )

    def _kind(self) -> str:
        if self._architecture == "clip":
            return "mmproj"
        return self._text("general.type") or "model"

    def _vocabulary_size(self) -> int:
        listed = self._header.list_lengths.get("tokenizer.ggml.tokens", 0)
        return listed or self._own("vocab_size")

    def _has_fill_in_middle(self) -> bool:
        keys = ("tokenizer.ggml.fim_pre_token_id", "tokenizer.ggml.prefix_token_id")
        named = any(key in self._header.values for key in keys)
        return named or self._header.has_fill_in_middle_token

    def _per_layer(self, key: str) -> tuple[int, ...]:
        """Give a number that may differ between layers, one entry per layer."""
        value = self._header.values.get(f"{self._architecture}.{key}")
        if isinstance(value, tuple):
            return tuple(max(0, int(entry)) for entry in value if isinstance(entry, int))
        layers = min(self._own("block_count"), MOST_LAYERS)
        count = self._own(key)
        return (count,) * layers if count else ()

    def _own(self, key: str, default: int = 0) -> int:
        return self._whole(f"{self._architecture}.{key}", default)

    def _whole(self, key: str, default: int = 0) -> int:
        value = self._header.values.get(key, default)
        return value if isinstance(value, int) and not isinstance(value, bool) else default

    def _text(self, key: str) -> str:
        value = self._header.values.get(key, "")
        return value if isinstance(value, str) else ""
