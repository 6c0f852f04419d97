"""Texts as expressions of a grammar: what stands between two quotes of JSON."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from localai.worker.json_schema.regex import (
    ANY,
    Alt,
    Anchor,
    BadRegex,
    Chars,
    Ranges,
    Regex,
    Rep,
    Seq,
    without,
)

AddRule = Callable[[str, str], str]
"""Adds a rule of a name like the first text and the body of the second; gives its name."""

CHAR_RULE: Final = "char"
_HEX: Final = "[0-9a-fA-F]"
# A character of a JSON text, raw or escaped; half a pair of surrogates is none.
CHAR: Final = (
    r'[^"\\\u0000-\u001F\u007F] | "\\" (["\\/bfnrt] | "u" ('
    f"[0-9a-cA-Ce-fE-F] {_HEX}{{3}} | [dD] [0-7] {_HEX}{{2}}"
    rf' | [dD] [89abAB] {_HEX}{{2}} "\\u" [dD] [c-fC-F] {_HEX}{{2}}))'
)
_D: Final = "[0-9]"
_TO_29: Final = f'("0" [1-9] | [12] {_D})'
_DATE: Final = (
    f'{_D}{{4}} "-" (("0" [13578] | "1" [02]) "-" ({_TO_29} | "30" | "31")'
    f' | ("0" [469] | "11") "-" ({_TO_29} | "30") | "02-" {_TO_29})'
)
_HOUR: Final = f'([01] {_D} | "2" [0-3])'
_TIME: Final = (
    f'{_HOUR} ":" [0-5] {_D} ":" [0-5] {_D} ("." {_D}{{1,3}})? ("Z" | [+-] {_HOUR} ":" [0-5] {_D})'
)
FORMATS: Final = {
    "date": _DATE,
    "time": _TIME,
    "date-time": f'{_DATE} "T" {_TIME}',
    "uuid": ' "-" '.join(f"{_HEX}{{{count}}}" for count in (8, 4, 4, 4, 12)),
}
"""What texts of a format look like; a 29th of February comes every year."""

_RAW_NOT: Final = ((0, 0x1F), (0x22, 0x22), (0x5C, 0x5C), (0x7F, 0x7F), (0xD800, 0xDFFF))
_ESCAPES: Final = {'"': '"', "\\": "\\\\", "\b": "b", "\f": "f", "\n": "n", "\r": "r", "\t": "t"}
_BLOCK: Final = 500  # repetitions in a row; llama.cpp takes 2000, and forgets a limit above that
_SIGNS: Final = {(0, 1): "?", (0, None): "*", (1, None): "+", (1, 1): ""}


def literal(text: str) -> str:
    """A text as a literal of a grammar."""
    return '"' + "".join(_escaped(char) for char in text) + '"'


def _escaped(char: str) -> str:
    if char in '"\\':
        return f"\\{char}"
    code = ord(char)
    if char.isprintable():
        return char
    return f"\\u{code:04X}" if code <= 0xFFFF else f"\\U{code:08X}"  # noqa: PLR2004 - what \\u can spell


def repeated(name: str, least: int, most: int | None, add_rule: AddRule) -> str:
    """A rule, `least` to `most` times; large numbers in blocks."""
    if most == 0:
        return ""
    if (least, most) in _SIGNS:
        return f"{name}{_SIGNS[least, most]}"
    parts = []
    if least > _BLOCK:
        block = add_rule(f"{name}-block", f"{name}{{{_BLOCK}}}")
        blocks, least_rest = divmod(least, _BLOCK)
        parts += [f"{block}{{{blocks}}}", f"{name}{{{least_rest}}}" if least_rest else ""]
    elif most is None or most - least > _BLOCK:
        parts.append(f"{name}{{{least}}}" if least else "")
    else:
        return f"{name}{{{least}}}" if least == most else f"{name}{{{least},{most}}}"
    if most is None:
        parts.append(f"{name}*")
    elif most > least:
        parts.append(_up_to(name, most - least, add_rule))
    return " ".join(filter(None, parts))


def _up_to(name: str, most: int, add_rule: AddRule) -> str:
    """At most so many: some blocks, then less than two of them."""
    if most <= _BLOCK:
        return f"{name}{{0,{most}}}"
    block = add_rule(f"{name}-block", f"{name}{{{_BLOCK}}}")
    blocks, rest = divmod(most, _BLOCK)
    lead = f"{block}{{0,{blocks - 1}}} " if blocks > 1 else ""
    return f"{lead}{name}{{0,{_BLOCK + rest}}}"


def text_of_pattern(tree: Regex, add_rule: AddRule) -> str:
    """The texts of an anchorless tree, as JSON spells them, without the quotes.

    Raises BadRegex when there are none.
    """
    match tree:
        case Chars():
            return _set(tree.ranges)
        case Seq():
            return _sequence(tree, add_rule)
        case Alt():
            options = [text_of_pattern(option, add_rule) or '""' for option in tree.options]
            return f"({' | '.join(options)})"
        case Rep():
            return _repetition(tree, add_rule)
        case Anchor():
            return ""


def _sequence(tree: Seq, add_rule: AddRule) -> str:
    parts: list[str] = []
    letters = ""
    for item in tree.items:
        letter = _letter(item)
        if letter is not None:
            letters += letter
            continue
        if letters:
            parts.append(literal(_as_json(letters)))
            letters = ""
        parts.append(text_of_pattern(item, add_rule))
    if letters:
        parts.append(literal(_as_json(letters)))
    return " ".join(filter(None, parts))


def _letter(item: Regex) -> str | None:
    """The one character that an item stands for; None if it stands for more or less."""
    if isinstance(item, Chars) and len(item.ranges) == 1 and item.ranges[0][0] == item.ranges[0][1]:
        code = item.ranges[0][0]
        char = chr(code)
        if char in _ESCAPES or without(item.ranges, _RAW_NOT):
            return char
    return None


def _as_json(text: str) -> str:
    return "".join(f"\\{_ESCAPES[char][-1]}" if char in _ESCAPES else char for char in text)


def _repetition(tree: Rep, add_rule: AddRule) -> str:
    if tree.inner == ANY:
        return repeated(CHAR_RULE, tree.least, tree.most, add_rule)
    inner = text_of_pattern(tree.inner, add_rule)
    if not inner or tree.most == 0:
        return ""
    return repeated(add_rule("part", inner), tree.least, tree.most, add_rule)


def _set(members: Ranges) -> str:
    """One character of a set, raw where JSON allows it, else by its short escape."""
    if members == ANY.ranges:
        return CHAR_RULE
    raw = without(members, _RAW_NOT)
    escapes = [
        code
        for char, code in _ESCAPES.items()
        if any(first <= ord(char) <= last for first, last in members)
    ]
    options = []
    if raw:
        spans = (
            _code(first) if first == last else f"{_code(first)}-{_code(last)}"
            for first, last in raw
        )
        options.append(f"[{''.join(spans)}]")
    if escapes:
        options.append(f'"\\\\" [{"".join(escapes)}]')
    if not options:
        raise BadRegex("it has a set of characters that stand in no answer")
    return options[0] if len(options) == 1 and raw else f"({' | '.join(options)})"


def _code(code: int) -> str:
    char = chr(code)
    if char.isascii() and char.isalnum():
        return char
    return f"\\u{code:04X}" if code <= 0xFFFF else f"\\U{code:08X}"  # noqa: PLR2004 - what \\u can spell
