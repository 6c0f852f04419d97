"""Sprig's functions for strings and encodings.

Source: the documentation of sprig, "String Functions", "Encoding Functions".
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Any, Final

from localai.catalog.gotemplate.errors import FunctionFailed
from localai.catalog.gotemplate.json_text import NotJson, decode, encode
from localai.catalog.gotemplate.limits import checked_length, checked_list_length
from localai.catalog.gotemplate.printing import plain, quoted
from localai.catalog.gotemplate.values import Table, from_bytes, to_bytes

# Unicode's White_Space, as Go's unicode.IsSpace has it; str.strip() takes more than that
SPACES: Final = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)


def upper(text: str) -> str:
    """Give each letter in upper case, if that is one letter: Go leaves the sharp s alone."""
    if text.isascii():
        return text.upper()
    return "".join(up if len(up := char.upper()) == 1 else char for char in text)


def lower(text: str) -> str:
    """Give each letter in lower case; of the one that becomes two, Go keeps the first."""
    return text.lower() if text.isascii() else "".join(char.lower()[0] for char in text)


def _starts(text: str, separators: str | None) -> list[bool]:
    """Say of each character whether a word starts there."""
    result, before = [], True
    for char in text:
        result.append(before)
        if separators is None:
            before = not (char.isalnum() or char == "_") and (char.isascii() or char in SPACES)
        else:
            before = char in separators
    return result


def title(text: str) -> str:
    """Give the first letter of each word in upper case."""
    pairs = zip(text, _starts(text, None), strict=True)
    return "".join(upper(char) if starts else char for char, starts in pairs)


def untitle(text: str) -> str:
    """Give the first letter of each word in lower case."""
    pairs = zip(text, _starts(text, SPACES), strict=True)
    return "".join(lower(char) if starts else char for char, starts in pairs)


def text_list(value: Any) -> list[str]:
    """Give the texts of a list without its nils; anything else is a list of one."""
    if isinstance(value, list | tuple):
        return [plain(item) for item in value if item is not None]
    return [] if value is None else [plain(value)]


def join(separator: str, value: Any) -> str:
    """Put a separator between the texts of a list."""
    texts = text_list(value)
    checked_length(sum(map(len, texts)) + len(separator) * len(texts))
    return separator.join(texts)


def split_list(separator: str, text: str) -> list[str]:
    """Cut a text at each separator, or into characters if that is empty."""
    checked_list_length(text.count(separator) + 1)
    return text.split(separator) if separator else list(text)


def _numbered(pieces: list[str]) -> dict[str, str]:
    return {f"_{i}": piece for i, piece in enumerate(pieces)}


def split(separator: str, text: str) -> dict[str, str]:
    """Cut a text into a map with the keys _0, _1, ..."""
    return _numbered(split_list(separator, text))


def split_some(separator: str, count: int, text: str) -> dict[str, str]:
    """Cut a text into at most `count` pieces."""
    if count < 0 or not separator:
        return split(separator, text)
    return _numbered(text.split(separator, count - 1)) if count else {}


def replace(old: str, new: str, text: str) -> str:
    """Put `new` where `old` is."""
    checked_length(len(text) + text.count(old) * len(new))
    return text.replace(old, new)


def repeat(count: int, text: str) -> str:
    """Give a text several times."""
    if count < 0:
        raise FunctionFailed("negative repeat count")
    checked_length(count * len(text))
    return text * count


def substring(start: int, end: int, text: str) -> str:
    """Give the bytes from `start` to `end`; a negative one stands for the text's own bound."""
    data = to_bytes(text)
    first, last = max(start, 0), len(data)
    if start < 0 or 0 <= end <= len(data):
        last = end
    if not 0 <= first <= last <= len(data):
        raise FunctionFailed(f"slice bounds out of range [{start}:{end}]")
    return from_bytes(data[first:last])


def truncate(count: int, text: str) -> str:
    """Give the first `count` bytes, or the last ones if it is negative."""
    data = to_bytes(text)
    if count < 0 and len(data) + count > 0:
        return from_bytes(data[count:])
    return from_bytes(data[:count]) if 0 <= count < len(data) else text


def without_spaces(text: str) -> str:
    """Give a text without its white space."""
    return "".join(char for char in text if char not in SPACES)


def cat(*values: Any) -> str:
    """Give the texts of values with spaces between them, without nils."""
    return " ".join(plain(value) for value in values if value is not None).strip(SPACES)


def indent(spaces: int, text: str) -> str:
    """Put spaces before each line."""
    if spaces < 0:
        raise FunctionFailed("negative repeat count")
    checked_length(len(text) + (text.count("\n") + 1) * spaces)
    pad = " " * spaces
    return pad + text.replace("\n", "\n" + pad)


def indent_after_newline(spaces: int, text: str) -> str:
    """Put a newline, then spaces before each line."""
    return "\n" + indent(spaces, text)


def quote(*values: Any) -> str:
    """Give values in double quotes, escaped, with spaces between them."""
    return " ".join(quoted(plain(value)) for value in values if value is not None)


def single_quote(*values: Any) -> str:
    """Give values in single quotes, with spaces between them."""
    return " ".join(f"'{plain(value)}'" for value in values if value is not None)


def encode_base64(text: str) -> str:
    """Give a text in base 64."""
    return base64.b64encode(to_bytes(text)).decode()


def decode_base64(text: str) -> str:
    """Give what a text in base 64 stands for; as in sprig, a mistake gives its description."""
    try:
        return from_bytes(base64.b64decode(to_bytes(text), validate=True))
    except binascii.Error as error:
        return str(error)


def to_json(value: Any) -> str:
    """Give a value's JSON; as in sprig, nothing for what has none."""
    return _or_empty(value, strict=False)


def _or_empty(value: Any, *, strict: bool, indent: str = "", escape_html: bool = True) -> str:
    try:
        return encode(value, indent=indent, escape_html=escape_html)
    except NotJson as error:
        if strict:
            raise FunctionFailed(f"json: {error}") from None
        return ""


def must_to_json(value: Any) -> str:
    """Give a value's JSON, or fail."""
    return _or_empty(value, strict=True)


def to_pretty_json(value: Any) -> str:
    """Give a value's JSON on several lines."""
    return _or_empty(value, strict=False, indent="  ")


def to_raw_json(value: Any) -> str:
    """Give a value's JSON without escaping `<`, `>` and `&`."""
    return _or_empty(value, strict=True, escape_html=False)


def from_json(text: str) -> Any:
    """Give the value of a JSON text, nil if it is none."""
    try:
        return decode(text)
    except NotJson:
        return None


def must_from_json(text: str) -> Any:
    """Give the value of a JSON text, or fail."""
    try:
        return decode(text)
    except NotJson as error:
        raise FunctionFailed(f"json: {error}") from None


def fail(message: str) -> str:
    """Stop with a message."""
    raise FunctionFailed(message)


def plural(one: str, many: str, count: int) -> str:
    """Give the word for a count."""
    return one if count == 1 else many


def _sha256(text: str) -> str:
    return hashlib.sha256(to_bytes(text)).hexdigest()


FUNCTIONS: Final[Table] = {
    "b64dec": ("s", decode_base64),
    "b64enc": ("s", encode_base64),
    "cat": ("a*", cat),
    "contains": ("s s", lambda part, text: part in text),
    "fail": ("s", fail),
    "fromJson": ("s", from_json),
    "hasPrefix": ("s s", lambda start, text: text.startswith(start)),
    "hasSuffix": ("s s", lambda end, text: text.endswith(end)),
    "indent": ("i s", indent),
    "join": ("s a", join),
    "lower": ("s", lower),
    "mustFromJson": ("s", must_from_json),
    "mustToJson": ("a", must_to_json),
    "mustToPrettyJson": ("a", lambda value: _or_empty(value, strict=True, indent="  ")),
    "mustToRawJson": ("a", to_raw_json),
    "nindent": ("i s", indent_after_newline),
    "nospace": ("s", without_spaces),
    "plural": ("s s i", plural),
    "quote": ("a*", quote),
    "repeat": ("i s", repeat),
    "replace": ("s s s", replace),
    "sha256sum": ("s", _sha256),
    "split": ("s s", split),
    "splitList": ("s s", split_list),
    "splitn": ("s i s", split_some),
    "squote": ("a*", single_quote),
    "substr": ("i i s", substring),
    "title": ("s", title),
    "toJson": ("a", to_json),
    "toPrettyJson": ("a", to_pretty_json),
    "toRawJson": ("a", to_raw_json),
    "toString": ("a", plain),
    "toStrings": ("a", text_list),
    "trim": ("s", lambda text: text.strip(SPACES)),
    "trimAll": ("s s", lambda cut, text: text.strip(cut) if cut else text),
    "trimPrefix": ("s s", lambda start, text: text.removeprefix(start)),
    "trimSuffix": ("s s", lambda end, text: text.removesuffix(end)),
    "trimall": ("s s", lambda cut, text: text.strip(cut) if cut else text),
    "trunc": ("i s", truncate),
    "untitle": ("s", untitle),
    "upper": ("s", upper),
}
