"""LocalAI's gallery format, read leniently: one bad entry never takes the others with it.

An index is a YAML list of entries; a base configuration is one mapping. Both come from elsewhere,
so what they may cost is limited. Source: LocalAI's documentation of model galleries, and the keys
that its public index uses.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import yaml

from localai.domain.errors import InvalidRequest
from localai.downloads.names import safe_name
from localai.gallery.entry import Entry, EntryFile, TemplateFile

MOST_ENTRIES: Final = 100_000
MOST_MERGED: Final = 2_000_000  # keys that `<<` copies, over a whole index
MOST_VALUES: Final = 5_000  # in one entry
DEEPEST: Final = 24
LONGEST_NAME: Final = 200
MOST_PROBLEMS: Final = 20

_SHA256: Final = re.compile(r"[0-9a-fA-F]{64}")
_SIZE: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(i?)B?\s*", re.IGNORECASE)
_POWERS: Final = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}
_Fast: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class BadIndex(Exception):
    """The text is no index; the message says why."""


class BadEntry(Exception):
    """One entry cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Index:
    """The entries of one index, and sentences about those that were left out."""

    entries: tuple[Entry, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Base:
    """What a base configuration adds to an entry."""

    config: Mapping[str, Any]
    files: tuple[EntryFile, ...] = ()
    templates: tuple[TemplateFile, ...] = ()
    license: str = ""


class _Loader(_Fast):  # type: ignore[misc]  # the C loader has no types
    """Counts what merge keys copy, because a chain of them doubles with every step."""

    def __init__(self, stream: bytes) -> None:
        super().__init__(stream)
        self._merged = 0

    def flatten_mapping(self, node: Any) -> None:
        """As YAML says, within the limit."""
        super().flatten_mapping(node)
        self._merged += len(node.value)
        if self._merged > MOST_MERGED:
            raise BadIndex(f"its merge keys copy more than {MOST_MERGED} values")


def read_index(data: bytes, *, gallery: str) -> Index:
    """The entries of an index. Raises BadIndex when it is none at all."""
    listed = _load(data)
    if listed is None:
        return Index()
    if not isinstance(listed, list):
        raise BadIndex("it is no list of models")
    if len(listed) > MOST_ENTRIES:
        raise BadIndex(f"it has {len(listed)} entries; the limit is {MOST_ENTRIES}")
    entries: dict[str, Entry] = {}
    problems: list[str] = []
    for number, value in enumerate(listed, 1):
        try:
            entry = _entry(value, gallery)
        except BadEntry as bad:
            problems.append(f"{gallery}: entry {number}: {bad}")
            continue
        entries.setdefault(entry.name.lower(), entry)  # of two with one name the first stays
    return Index(tuple(entries.values()), tuple(problems[:MOST_PROBLEMS]))


def read_base(data: bytes) -> Base:
    """A base configuration. Raises BadIndex."""
    value = _load(data)
    if value is None:
        value = {}
    if not isinstance(value, dict):
        raise BadIndex("it is no base configuration: a mapping is needed")
    try:
        return Base(
            config=config_of(_plain(value.get("config_file"))),
            files=_files(value.get("files")),
            templates=_templates(value.get("prompt_templates")),
            license=_text(value.get("license")),
        )
    except BadEntry as bad:
        raise BadIndex(str(bad)) from None


def inline_entry(value: Mapping[str, Any]) -> Entry:
    """An entry that stands in a request instead of a gallery. Raises BadEntry."""
    return _entry(dict(value), "")


def config_of(value: Any) -> Mapping[str, Any]:
    """A `config_file`: YAML text, or the mapping itself. Raises BadEntry."""
    if isinstance(value, str):
        try:
            value = _plain(_load(value.encode()))
        except BadIndex as bad:
            raise BadEntry(f"its config_file cannot be read: {bad}") from None
    if value in (None, ""):
        return {}
    if not isinstance(value, dict):
        raise BadEntry("its config_file is no mapping")
    return value


def size_of(written: str) -> int:
    """Bytes of a size such as `1.5GB` or `108 MiB`; 0 for anything else."""
    match = _SIZE.fullmatch(written)
    if match is None:
        return 0
    step = 1024 if match[3] else 1000
    return int(float(match[1]) * step ** _POWERS[match[2].upper()])


def _name_of_file(written: str) -> str:
    try:
        return safe_name(written)
    except InvalidRequest as error:
        raise BadEntry(error.message) from None


def _load(data: bytes) -> Any:
    try:
        _check_depth(data)
        loader = _Loader(data)
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        if "unknown escape" in str(error) and b"\\'" in data:
            return _load(data.replace(b"\\'", b"'"))  # Go's reader, which LocalAI's has, takes it
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark else ""
        raise BadIndex(f"it is no YAML{where}: {getattr(error, 'problem', '') or error}") from None
    except (ValueError, TypeError, RecursionError, UnicodeDecodeError) as error:
        raise BadIndex(
            f"it is no YAML that can be read: {str(error) or type(error).__name__}"
        ) from None


def _check_depth(data: bytes) -> None:
    """Refuse what is nested so deep that building it would end the process. Raises BadIndex."""
    depth = 0
    for event in yaml.parse(data, Loader=_Fast):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEEPEST:
                raise BadIndex(f"it is nested deeper than {DEEPEST} levels")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _entry(value: Any, gallery: str) -> Entry:
    if not isinstance(value, dict):
        raise BadEntry("it is no mapping")
    plain = _plain(value)
    name = _text(plain.get("name")).strip()
    if gallery or name:
        _check_name(name)
    files = _files(plain.get("files"))
    overrides = plain.get("overrides") or {}
    if not isinstance(overrides, dict):
        raise BadEntry(f"{name}: its overrides are no mapping")
    weighed = sum(file.size_bytes for file in files)
    is_weighed = bool(files) and all(file.size_bytes for file in files)
    return Entry(
        name=name,
        gallery=gallery,
        description=_text(plain.get("description")).strip(),
        license=_text(plain.get("license")).strip(),
        icon=_text(plain.get("icon")),
        urls=_texts(plain.get("urls")),
        tags=_texts(plain.get("tags")),
        base_url=_text(plain.get("url")).strip(),
        config=config_of(plain.get("config_file")),
        overrides=overrides,
        files=files,
        templates=_templates(plain.get("prompt_templates")),
        variants=_variants(plain.get("variants")),
        size_bytes=weighed if is_weighed else size_of(_text(plain.get("size"))),
        kv_bytes_per_token=_count(plain.get("kv_bytes_per_token")),
        last_checked=_text(plain.get("last_checked")),
    )


def _check_name(name: str) -> None:
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise BadEntry(f"{name[:80]!r} is no name: 1 to {LONGEST_NAME} printable characters")


def _files(value: Any) -> tuple[EntryFile, ...]:
    found = []
    for item in value if isinstance(value, list) else ():
        if not isinstance(item, dict):
            raise BadEntry("one of its files is no mapping")
        checksum = _text(item.get("sha256")).strip()
        if checksum and not _SHA256.fullmatch(checksum):
            raise BadEntry(f"{checksum[:80]!r} is no SHA-256 checksum")
        uri = _text(item.get("uri")).strip()
        if not uri:
            raise BadEntry("one of its files has no uri")
        written = _text(item.get("filename")) or uri.rpartition("/")[2]
        size = item.get("size", item.get("size_bytes"))
        found.append(
            EntryFile(
                filename=_name_of_file(written),
                uri=uri,
                sha256=checksum.lower(),
                size_bytes=_count(size) or size_of(_text(size)),
            )
        )
    return tuple(found)


def _templates(value: Any) -> tuple[TemplateFile, ...]:
    return tuple(
        TemplateFile(
            name=_name_of_file(_text(item.get("name"))), content=_text(item.get("content"))
        )
        for item in (value if isinstance(value, list) else ())
        if isinstance(item, dict)
    )


def _variants(value: Any) -> tuple[str, ...]:
    listed = value if isinstance(value, list) else []
    names = (item.get("model") if isinstance(item, dict) else item for item in listed)
    return tuple(name for name in names if isinstance(name, str) and name)


def _text(value: Any) -> str:
    if value is None or isinstance(value, dict | list):
        return ""
    return str(value)


def _texts(value: Any) -> tuple[str, ...]:
    if isinstance(value, list):
        return tuple(text for item in value if (text := _text(item)))
    return (text,) if (text := _text(value)) else ()


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _plain(value: Any) -> Any:
    """A copy that JSON can hold. Raises BadEntry when it is too deep or, written out, too large."""
    left = MOST_VALUES

    def copy(value: Any, depth: int) -> Any:
        nonlocal left
        left -= 1
        if left < 0 or depth > DEEPEST:
            raise BadEntry(f"it holds more than {MOST_VALUES} values, or {DEEPEST} levels of them")
        match value:
            case None | bool() | int() | str():
                return value
            case float():
                return value if math.isfinite(value) else None
            case dt.date():
                return value.isoformat()
            case dict():
                return {_text(key): copy(item, depth + 1) for key, item in value.items()}
            case list() | tuple() | set():
                return [copy(item, depth + 1) for item in value]
            case _:
                return str(value)

    return copy(value, 0)
