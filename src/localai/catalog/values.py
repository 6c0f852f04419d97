"""Readers of single YAML values: a node becomes a Python value, or a BadValue says why not.

Each is as lenient as LocalAI's own reader where that cannot change a meaning: numbers may stand in
quotes, a yes or no may be spelled in any of YAML's ways.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any
from urllib.parse import unquote, urlsplit

from localai.catalog.yaml_nodes import Mapping, Node, Scalar, Sequence
from localai.domain.downloads import WantedFile

Reader = Callable[[Node], Any]

YES = frozenset({"true", "yes", "on", "y", "1"})
_LONGEST_NAME = 200
_HUB = ("huggingface://", "hf://", "hf.co/", "huggingface.co/")
_SITES = ("hf.co/", "huggingface.co/", "ollama.com/", "quay.io/", "ghcr.io/", "docker.io/")
NO = frozenset({"false", "no", "off", "n", "0"})
_LEADS_ON = frozenset("/\\:")  # without these a name is that of a file in the folder itself


class BadValue(Exception):
    """A value cannot be used; the text says why, and `line` where, if not where its key stands."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


def _scalar(node: Node, wanted: str) -> str:
    if not isinstance(node, Scalar):
        shape = "a list" if isinstance(node, Sequence) else "a mapping"
        raise BadValue(f"this is {shape}; {wanted} is needed.")
    return node.text


def text(node: Node) -> str:
    """Read any single value as text."""
    return _scalar(node, "a text")


def flag(node: Node) -> bool:
    """Read a yes or no."""
    word = _scalar(node, "true or false").strip().lower()
    if word in YES:
        return True
    if word in NO:
        return False
    raise BadValue(f"{word!r} is neither true nor false.")


def integer(low: int, high: int) -> Reader:
    """Make a reader of whole numbers from `low` to `high`."""

    def read(node: Node) -> int:
        written = _scalar(node, "a whole number").strip()
        value = _number(written, "a whole number")
        if not value.is_integer():
            raise BadValue(f"{written} is not a whole number.")
        whole = int(written, 10) if written.lstrip("+-").isdecimal() else int(value)
        if not low <= whole <= high:
            raise BadValue(f"{written} is outside {low} to {high}.")
        return whole

    return read


def number(low: float, high: float) -> Reader:
    """Make a reader of numbers from `low` to `high`."""

    def read(node: Node) -> float:
        written = _scalar(node, "a number").strip()
        value = _number(written, "a number")
        if not low <= value <= high:
            raise BadValue(f"{written} is outside {low:g} to {high:g}.")
        return value

    return read


def _number(written: str, wanted: str) -> float:
    try:
        value = float(written)
    except (ValueError, OverflowError):
        raise BadValue(f"{written[:80]!r} is not {wanted}.") from None
    if not math.isfinite(value):
        raise BadValue(f"{written[:80]!r} is not {wanted}.")
    return value


def one_of(*words: str) -> Reader:
    """Make a reader of one of these words, in any case."""

    def read(node: Node) -> str:
        word = _scalar(node, "a word").strip()
        if word.lower() not in words:
            raise BadValue(f"{word!r} is none of {', '.join(words)}.")
        return word.lower()

    return read


def texts(node: Node) -> tuple[str, ...]:
    """Read a list of texts; a single text is a list of one."""
    if isinstance(node, Scalar):
        return () if node.is_null else (node.text,)
    if isinstance(node, Mapping):
        raise BadValue("this is a mapping; a list of texts is needed.")
    return tuple(text(item) for item in node.items)


def numbers(node: Node) -> tuple[float, ...]:
    """Read a list of numbers."""
    if not isinstance(node, Sequence):
        raise BadValue("a list of numbers is needed.")
    return tuple(_number(_scalar(item, "a number"), "a number") for item in node.items)


def switch(node: Node) -> str:
    """Read on, off or auto: LocalAI's flash_attention, which may also be true or false."""
    word = _scalar(node, "on, off or auto").strip().lower()
    if word in {"auto", ""}:
        return "auto"
    if word in YES | {"enabled"}:
        return "on"
    if word in NO | {"disabled"}:
        return "off"
    raise BadValue(f"{word!r} is none of auto, on, off.")


def token_biases(node: Node) -> dict[int, float]:
    """Read a mapping of token ids to numbers that are added to their logits."""
    if not isinstance(node, Mapping):
        raise BadValue("a mapping of token ids to numbers is needed.")
    biases = {}
    for key, value in node.entries.items():
        if not key.isdecimal() or len(key) > len(str(1 << 31)):
            raise BadValue(f"{key[:80]!r} is not a token id.")
        biases[int(key)] = _number(_scalar(value, "a number"), "a number")
    return biases


def anything(node: Node) -> Any:
    """Read any value the way YAML 1.2 would: null, booleans, numbers, texts, lists, mappings."""
    match node:
        case Scalar():
            return _plain_value(node) if node.is_plain else node.text
        case Sequence():
            return [anything(item) for item in node.items]
        case Mapping():
            return {key: anything(value) for key, value in node.entries.items()}


def _plain_value(node: Scalar) -> Any:
    if node.is_null:
        return None
    if node.text in {"true", "True", "TRUE"}:
        return True
    if node.text in {"false", "False", "FALSE"}:
        return False
    with suppress(ValueError):
        return int(node.text)
    with suppress(ValueError):
        value = float(node.text)
        return value if math.isfinite(value) else node.text
    return node.text


def file(node: Node) -> str:
    """Read the name of a file in the models folder, or a web address.

    Absolute paths and ones that lead out of the folder are refused. Links inside the folder are
    the operator's own choice and may lead anywhere.
    """
    written = text(node)
    if "\0" in written or "\n" in written:
        raise BadValue("a file name holds no line breaks or zero bytes.")
    if _LEADS_ON.isdisjoint(written) and written != "..":
        return written
    if is_address(written):
        return written
    posix, windows = PurePosixPath(written), PureWindowsPath(written)
    if posix.is_absolute() or windows.drive or windows.root:
        raise BadValue(f"{written!r} is an absolute path; name a file in the models folder.")
    if ".." in posix.parts or ".." in windows.parts:
        raise BadValue(f"{written!r} leads out of the models folder.")
    return written


def files(node: Node) -> tuple[str, ...]:
    """Read a list of files in the models folder."""
    if isinstance(node, Sequence):
        return tuple(file(item) for item in node.items)
    return (file(node),)


def is_address(written: str) -> bool:
    """Whether a model is named by where it can be downloaded, not by a file."""
    head = written.partition(":")[0].lower()
    schemes = {"http", "https", "huggingface", "hf", "github", "oci", "ollama"}
    return (":" in written and head in schemes) or written.lower().startswith(_SITES)


def names_file(address: str) -> bool:
    """Whether an address of the Hugging Face hub means one file, not a repository for an engine."""
    low = address.lower()
    prefix = next((one for one in _HUB if low.startswith(one)), "")
    return not prefix or low[len(prefix) :].count("/") > 1


def name_of_address(address: str) -> str:
    """What the file of an address is called in the models folder: the last part of its path.

    An address whose last part is no name of a file gives a name of all its words.
    """
    rest = address.partition("://")[2] or re.sub("^github:", "", address)
    is_web = address.lower().startswith(("http://", "https://"))
    path = urlsplit(address).path if is_web else rest
    last = unquote(PurePosixPath(path.rpartition("@")[0] or path).name)
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 ._()+-]*\.[A-Za-z0-9]{2,11}", last):
        return last
    words = re.sub(r"[^A-Za-z0-9._]+", "-", rest).strip("-.")[-_LONGEST_NAME:].lstrip("-.")
    return words if words.lower().endswith(".gguf") else f"{words or 'model'}.gguf"


def downloads(node: Node) -> tuple[WantedFile, ...]:
    """Read LocalAI's `download_files`: mappings of filename, uri and perhaps sha256."""
    if not isinstance(node, Sequence):
        raise BadValue("a list is needed, each with `filename` and `uri`, and perhaps `sha256`.")
    found = []
    for item in node.items:
        said = item.entries if isinstance(item, Mapping) else {}
        if not {"filename", "uri"} <= said.keys() <= {"filename", "uri", "sha256"}:
            raise BadValue("each has a `filename` and a `uri`, and perhaps a `sha256`.", item.line)
        try:
            name, uri = file(said["filename"]), text(said["uri"]).strip()
        except BadValue as bad:
            raise BadValue(str(bad), item.line) from None
        if not name or is_address(name) or not uri:
            raise BadValue(f"{name!r} from {uri!r} is no file to download.", item.line)
        sha256 = text(said["sha256"]).strip().lower() if "sha256" in said else ""
        if sha256 and not re.fullmatch(r"[0-9a-f]{64}", sha256):
            raise BadValue(f"the sha256 of {name!r} is not 64 hexadecimal digits.", item.line)
        found.append(WantedFile(name=name, uri=uri, sha256=sha256))
    return tuple(found)
