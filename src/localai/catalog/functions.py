"""The `function:` section of a model file: its keys, its named formats, and what it must not say.

Sources: LocalAI's documentation of the model YAML, and the files of its gallery.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from localai.catalog import values
from localai.catalog.values import BadValue, Reader
from localai.catalog.yaml_nodes import Mapping as MappingNode
from localai.catalog.yaml_nodes import Node, Scalar, Sequence
from localai.regexp import BadPattern, Pattern
from localai.wire.call_formats import PRESETS, with_known_formats
from localai.wire.functions import (
    NAME_GROUPS,
    FunctionSettings,
    Markers,
    Replacement,
    TagFormat,
    Trigger,
)

MOST_PATTERNS: Final = 50  # of one key


@dataclass(frozen=True, slots=True)
class FunctionKey:
    """Which field of FunctionSettings a key becomes, and how its value is read."""

    field: str
    read: Reader


def _pattern(text: str) -> str:
    try:
        Pattern(text)
    except BadPattern as error:
        raise BadValue(f"{text[:80]!r} is no pattern: {error}.") from None
    return text


def _few(node: Node) -> None:
    if isinstance(node, Sequence) and len(node.items) > MOST_PATTERNS:
        raise BadValue(f"a list of at most {MOST_PATTERNS} entries is needed.")


def _patterns(node: Node) -> tuple[str, ...]:
    _few(node)
    if isinstance(node, Sequence):
        return tuple(_at(item, lambda item: _pattern(values.text(item))) for item in node.items)
    return tuple(_pattern(text) for text in values.texts(node))


def _at(node: Node, read: Reader) -> Any:
    """Read one item of a list; a mistake in it is on its own line."""
    try:
        return read(node)
    except BadValue as bad:
        raise BadValue(str(bad), bad.line or node.line) from None


def _each(read: Callable[[MappingNode], Any], wanted: str) -> Reader:
    def read_list(node: Node) -> tuple[Any, ...]:
        _few(node)
        if not isinstance(node, Sequence):
            raise BadValue(f"a list of {wanted} is needed.")
        return tuple(_at(item, lambda item: read(_mapping(item, wanted))) for item in node.items)

    return read_list


def _mapping(node: Node, wanted: str) -> MappingNode:
    if not isinstance(node, MappingNode):
        raise BadValue(f"each entry is one of the {wanted}.")
    return node


def _entries(node: MappingNode, *known: str) -> dict[str, Node]:
    for name in node.entries:
        if name not in known:
            raise BadValue(f"{name[:80]!r} is none of {', '.join(known)}.", node.lines.get(name))
    return node.entries


def _replacement(node: MappingNode) -> Replacement:
    entries = _entries(node, "key", "value")
    if "key" not in entries:
        raise BadValue("each entry needs a `key`, the pattern whose matches are replaced.")
    value = entries.get("value", Scalar("", node.line))
    return Replacement(_pattern(values.text(entries["key"])), values.text(value))


def _trigger(node: MappingNode) -> Trigger:
    entries = _entries(node, "word", "at_start")
    word = values.text(entries.get("word", Scalar("", node.line)))
    if not word.strip():
        raise BadValue("each entry needs a `word`, the text that begins a call.")
    at_start = values.flag(entries["at_start"]) if "at_start" in entries else False
    return Trigger(word, at_start)


_TEXTS: Final = frozenset(
    [
        "tool_start",
        "tool_sep",
        "tool_end",
        "key_start",
        "key_val_sep",
        "key_val_sep2",
        "val_end",
        "scope_start",
        "scope_end",
        "last_val_end",
        "last_tool_end",
    ]
)
_FLAGS: Final = frozenset({"raw_argval", "trim_raw_argval", "allow_toolcall_in_think"})


def _format(node: Node) -> TagFormat | Markers:
    if not isinstance(node, MappingNode):
        raise BadValue("a mapping of the format's parts is needed.")
    fields: dict[str, Any] = {}
    for name, value in _entries(node, *sorted(_TEXTS), *sorted(_FLAGS)).items():
        is_nothing = isinstance(value, Scalar) and value.is_null
        if not is_nothing:
            fields[name] = _at(value, values.flag if name in _FLAGS else values.text)
    if not fields.get("tool_start", "").strip():
        raise BadValue("`tool_start` is missing, the text that begins a call.")
    if fields.get("key_start") and not (fields.get("key_val_sep") and fields.get("val_end")):
        raise BadValue("`key_start` needs `key_val_sep` and `val_end` beside it.")
    if not (fields.get("tool_sep") or fields.get("key_start")):
        raise BadValue("`tool_sep` is missing, the text between a call's name and arguments.")
    return _plain(TagFormat(**fields))


def _plain(written: TagFormat) -> TagFormat | Markers:
    """Give a format whose parts are pieces of JSON as what it is: JSON between other texts."""
    if written.key_start != '"':
        return written
    if "{" in written.tool_start:  # the whole call is JSON
        before = written.scope_start.rstrip("[ \n") or written.tool_start.partition("{")[0].strip()
        after = written.scope_end.lstrip("] \n") or written.tool_end.rpartition("}")[2].strip(
            " ,\n"
        )
        if not before:
            raise BadValue("calls in plain JSON are found without a format; leave it out.")
        return Markers(before, after)
    return msgspec.structs.replace(
        written,
        tool_sep=written.tool_sep.rstrip().removesuffix("{"),
        tool_end=written.tool_end.lstrip().removeprefix("}"),
        **dict.fromkeys(("key_start", "key_val_sep", "key_val_sep2", "val_end"), ""),
    )


def _preset(node: Node) -> TagFormat | Markers:
    return PRESETS[values.one_of(*PRESETS)(node)]


def _order(node: Node) -> tuple[str, ...]:
    return tuple(name.strip() for name in values.text(node).split(",") if name.strip())


ONE_PARSER: Final = (
    "has no effect: there is one parser for the calls that the engine does not find. "
    "Say what they look like with `xml_format`, `xml_format_preset` or `response_regex`."
)
"""What is said of `disable_peg_parser`."""

GRAMMAR_KEYS: Final[Mapping[str, FunctionKey]] = {
    "disable": FunctionKey("grammar_disable", values.flag),
    "parallel_calls": FunctionKey("grammar_parallel_calls", values.flag),
    "disable_parallel_new_lines": FunctionKey("grammar_disable_parallel_new_lines", values.flag),
    "mixed_mode": FunctionKey("grammar_mixed_mode", values.flag),
    "no_mixed_free_string": FunctionKey("grammar_no_mixed_free_string", values.flag),
    "prefix": FunctionKey("grammar_prefix", values.text),
    "expect_strings_after_json": FunctionKey("grammar_expect_strings_after_json", values.flag),
    "properties_order": FunctionKey("grammar_properties_order", _order),
    "schema_type": FunctionKey("grammar_schema_type", values.one_of("json", "llama3.1")),
    "triggers": FunctionKey("grammar_triggers", _each(_trigger, "mappings with a `word`")),
}
_REPLACEMENTS: Final = _each(_replacement, "mappings with `key` and `value`")
KEYS: Final[Mapping[str, FunctionKey]] = {
    "disable_no_action": FunctionKey("disable_no_action", values.flag),
    **{
        name: FunctionKey(name, values.text)
        for name in (
            "no_action_function_name",
            "no_action_description_name",
            "function_name_key",
            "function_arguments_key",
            "argument_regex_key_name",
            "argument_regex_value_name",
        )
    },
    **{
        name: FunctionKey(name, _patterns)
        for name in ("response_regex", "json_regex_match", "argument_regex", "capture_llm_results")
    },
    "replace_function_results": FunctionKey("replace_function_results", _REPLACEMENTS),
    "replace_llm_results": FunctionKey("replace_llm_results", _REPLACEMENTS),
    "xml_format_preset": FunctionKey("xml_format_preset", _preset),
    "xml_format": FunctionKey("xml_format", _format),
    "automatic_tool_parsing_fallback": FunctionKey("automatic_tool_parsing_fallback", values.flag),
    # LocalAI's older spellings
    "no_grammar": FunctionKey("grammar_disable", values.flag),
    "parallel_calls": FunctionKey("grammar_parallel_calls", values.flag),
}


def contradictions(read: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Give the keys of a section that cannot work together with others, and why."""
    names = {read.get("function_name_key"), *NAME_GROUPS}
    for text in read.get("response_regex", ()):
        if names.isdisjoint(Pattern(text).names):
            wanted = read.get("function_name_key") or NAME_GROUPS[0]
            yield "response_regex", f"{text[:80]!r} has no group (?P<{wanted}>...) for the name."
    groups = [read.get(f"argument_regex_{part}_name", part) for part in ("key", "value")]
    for text in read.get("argument_regex", ()):
        for group in groups:
            if group not in Pattern(text).names:
                yield "argument_regex", f"{text[:80]!r} has no group (?P<{group}>...)."
    if read.get("function_name_key", "name") == read.get("function_arguments_key", "arguments"):
        yield "function_arguments_key", "is the same as the key of the name."


def section(read: Mapping[str, Any]) -> FunctionSettings:
    """Give the settings that the values of a section make."""
    fields = {name: value for name, value in read.items() if not name.startswith("xml_format")}
    wanted = read.get("xml_format") or read.get("xml_format_preset")
    settings = FunctionSettings(**fields, format=wanted)
    return with_known_formats(settings) if settings.automatic_tool_parsing_fallback else settings
