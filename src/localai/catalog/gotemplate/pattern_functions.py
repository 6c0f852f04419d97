"""Sprig's functions for regular expressions.

Source: the documentation of sprig, "String Functions"; of Go's package regexp. Every one of them
charges for the steps of its search.
"""

from __future__ import annotations

import re
from typing import Final

from localai.catalog.gotemplate.errors import FunctionFailed
from localai.catalog.gotemplate.limits import checked_length, checked_list_length
from localai.catalog.gotemplate.values import Table
from localai.regexp import BadPattern, Charge, Pattern, replaced, span

_META = re.compile(r"[\\.+*?()|\[\]{}^$]")


def _pattern(source: str, charge: Charge) -> Pattern:
    charge(len(source))
    try:
        return Pattern(source)
    except BadPattern as error:
        raise FunctionFailed(str(error)) from None


def _match(charge: Charge, source: str, text: str) -> bool:
    return _pattern(source, charge).search(text, 0, charge) is not None


def _find(charge: Charge, source: str, text: str) -> str:
    """Give the first match, an empty text if there is none."""
    found = _pattern(source, charge).search(text, 0, charge)
    return text[slice(*span(found))] if found else ""


def _find_all(charge: Charge, source: str, text: str, count: int) -> list[str]:
    pattern = _pattern(source, charge)
    return [text[slice(*span(found))] for found in pattern.search_all(text, count, charge)]


def _replaced(charge: Charge, source: str, text: str, replacement: str, *, is_literal: bool) -> str:
    pattern = _pattern(source, charge)
    return replaced(pattern, text, replacement, charge, is_literal=is_literal, grown=checked_length)


def _replace_all(charge: Charge, source: str, text: str, replacement: str) -> str:
    return _replaced(charge, source, text, replacement, is_literal=False)


def _replace_all_literally(charge: Charge, source: str, text: str, replacement: str) -> str:
    return _replaced(charge, source, text, replacement, is_literal=True)


def _split(charge: Charge, source: str, text: str, count: int) -> list[str]:
    """Cut a text at matches, into at most `count` pieces if that is not negative."""
    pattern = _pattern(source, charge)
    if not count:
        return []
    if source and not text:
        return [""]
    pieces: list[str] = []
    begin, end = 0, 0
    for found in pattern.search_all(text, count, charge):
        if count > 0 and len(pieces) == count - 1:
            break
        end, after = span(found)
        if after:
            pieces.append(text[begin:end])
        begin = after
    if end != len(text):
        pieces.append(text[begin:])
    checked_list_length(len(pieces))
    return pieces


def _quote_meta(_charge: Charge, text: str) -> str:
    return _META.sub(r"\\\g<0>", text)


FUNCTIONS: Final[Table] = {
    "mustRegexFind": ("s s", _find),
    "mustRegexFindAll": ("s s i", _find_all),
    "mustRegexMatch": ("s s", _match),
    "mustRegexReplaceAll": ("s s s", _replace_all),
    "mustRegexReplaceAllLiteral": ("s s s", _replace_all_literally),
    "mustRegexSplit": ("s s i", _split),
    "regexFind": ("s s", _find),
    "regexFindAll": ("s s i", _find_all),
    "regexMatch": ("s s", _match),
    "regexQuoteMeta": ("s", _quote_meta),
    "regexReplaceAll": ("s s s", _replace_all),
    "regexReplaceAllLiteral": ("s s s", _replace_all_literally),
    "regexSplit": ("s s i", _split),
}
"""Name -> the kinds of its parameters, and what it does; the first argument is the meter."""
