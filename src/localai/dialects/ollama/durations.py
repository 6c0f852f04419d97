"""`keep_alive`: how long a model stays loaded after a call, in the spellings of Ollama."""

from __future__ import annotations

import math
import re

from localai.domain.errors import InvalidRequest

_UNITS_S = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,  # the micro sign
    "μs": 1e-6,  # the Greek letter, which Go understands too
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
}
_ONE = r"([0-9]{1,18}(?:\.[0-9]{0,18})?|\.[0-9]{1,18})(ns|us|µs|μs|ms|s|m|h)"
_PIECE = re.compile(_ONE)
_DURATION = re.compile(rf"([+-]?)((?:{_ONE})+)")
_NUMBER = re.compile(r"[+-]?[0-9]{1,18}(?:\.[0-9]{0,18})?")


def keep_alive_s(value: str | float | None) -> float | None:
    """Seconds to stay loaded: 0 unloads at once, infinity never, None is the server's setting.

    A number is seconds. A text is Go's notation, `1h30m` or `500ms`, or a number of seconds.
    Anything below zero means never. Raises InvalidRequest.
    """
    if value is None or value == "":
        return None
    seconds = _read(value) if isinstance(value, str) else float(value)
    return math.inf if seconds < 0 else seconds


def _read(text: str) -> float:
    if _NUMBER.fullmatch(text):
        return float(text)
    found = _DURATION.fullmatch(text)
    if found is None:
        message = f"keep_alive is {text[:40]!r}; it must be a duration or a number of seconds."
        hint = 'Send "5m", "1h30m", 300, 0 to unload at once, or -1 to stay loaded.'
        raise InvalidRequest(message, param="keep_alive", hint=hint)
    seconds = sum(float(number) * _UNITS_S[unit] for number, unit in _PIECE.findall(found[2]))
    return -seconds if found[1] == "-" else seconds
