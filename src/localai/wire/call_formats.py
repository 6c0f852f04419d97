"""The forms of calls that models were trained on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from localai.wire.functions import FunctionSettings, Markers, TagFormat

HERMES: Final = Markers("<tool_call>", "</tool_call>")
"""The usual form. Source: https://huggingface.co/NousResearch/Hermes-2-Pro-Llama-3-8B, "Prompt
Format for Function Calling"."""

_QWEN: Final = TagFormat(
    scope_start="<tool_call>",
    tool_start="<function=",
    tool_sep=">",
    key_start="<parameter=",
    key_val_sep=">",
    val_end="</parameter>",
    tool_end="</function>",
    scope_end="</tool_call>",
    trim_raw_argval=True,
)
PRESETS: Final[Mapping[str, TagFormat | Markers]] = {
    "functionary": TagFormat(tool_start="<function=", tool_sep=">", tool_end="</function>"),
    "qwen3-coder": _QWEN,
    "qwen3.5": _QWEN,
    "glm-4.5": TagFormat(
        tool_start="<tool_call>",
        key_start="<arg_key>",
        key_val_sep="</arg_key>",
        key_val_sep2="<arg_value>",
        val_end="</arg_value>",
        tool_end="</tool_call>",
    ),
    "minimax-m2": TagFormat(
        scope_start="<minimax:tool_call>",
        tool_start='<invoke name="',
        tool_sep='">',
        key_start='<parameter name="',
        key_val_sep='">',
        val_end="</parameter>",
        tool_end="</invoke>",
        scope_end="</minimax:tool_call>",
    ),
    "kimi-k2": TagFormat(
        scope_start="<|tool_calls_section_begin|>",
        tool_start="<|tool_call_begin|>",
        tool_sep="<|tool_call_argument_begin|>",
        tool_end="<|tool_call_end|>",
        scope_end="<|tool_calls_section_end|>",
        allow_toolcall_in_think=True,
    ),
    "apriel-1.5": Markers("<tool_calls>", "</tool_calls>"),
    "xiaomi-mimo": HERMES,
}
"""The values of `xml_format_preset`. Source: the chat templates of these models."""

FURTHER: Final = (Markers("[TOOL_CALLS]"), Markers("<|tool_call|>"), Markers("<|python_tag|>"))
KNOWN: Final[tuple[TagFormat | Markers, ...]] = tuple(
    dict.fromkeys((HERMES, *PRESETS.values(), *FURTHER))
)
"""All of them, those that are mistaken for others last."""


def with_known_formats(settings: FunctionSettings) -> FunctionSettings:
    """The settings, with all forms to look for besides the one that they name."""
    further = tuple(form for form in KNOWN if form != settings.format)
    return msgspec.structs.replace(settings, further_formats=further)
