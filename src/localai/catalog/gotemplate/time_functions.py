"""Sprig's dates, written by Go's layouts: an example time, Monday January 2 15:04:05 2006.

Sources: the documentation of Go's time.Layout; of sprig, "Date Functions".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from typing import Any, Final
from zoneinfo import ZoneInfo

from localai.catalog.gotemplate.errors import FunctionFailed
from localai.catalog.gotemplate.values import Table

_DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_NOON: Final = 12
_LONGEST_NANOSECONDS: Final = 9


def _hour(time: datetime) -> int:
    return time.hour % _NOON or _NOON


def _offset(layout: str, time: datetime) -> str:
    seconds = round(time.utcoffset().total_seconds()) if time.utcoffset() else 0  # type: ignore[union-attr]
    if layout.startswith("Z") and not seconds:
        return "Z"
    sign, size = ("-" if seconds < 0 else "+"), abs(seconds)
    parts = [f"{size // 3600:02}", f"{size // 60 % 60:02}", f"{size % 60:02}"]
    count = len(re.findall("07|00", layout))
    return sign + (":" if ":" in layout else "").join(parts[:count])


def _fraction(layout: str, time: datetime) -> str:
    digits = f"{time.microsecond:06d}000"[: len(layout) - 1]
    if layout[1] == "9":
        digits = digits.rstrip("0")
        return layout[0] + digits if digits else ""
    return layout[0] + digits


_ELEMENTS: Final[dict[str, Callable[[datetime], str]]] = {
    "January": lambda t: _MONTHS[t.month - 1],
    "Jan": lambda t: _MONTHS[t.month - 1][:3],
    "Monday": lambda t: _DAYS[t.weekday()],
    "Mon": lambda t: _DAYS[t.weekday()][:3],
    "MST": lambda t: t.tzname() or "UTC",
    "2006": lambda t: f"{t.year:04}",
    "__2": lambda t: f"{t.timetuple().tm_yday:3}",
    "002": lambda t: f"{t.timetuple().tm_yday:03}",
    "01": lambda t: f"{t.month:02}",
    "02": lambda t: f"{t.day:02}",
    "03": lambda t: f"{_hour(t):02}",
    "04": lambda t: f"{t.minute:02}",
    "05": lambda t: f"{t.second:02}",
    "06": lambda t: f"{t.year % 100:02}",
    "15": lambda t: f"{t.hour:02}",
    "PM": lambda t: "AM" if t.hour < _NOON else "PM",
    "pm": lambda t: "am" if t.hour < _NOON else "pm",
    "_2": lambda t: f"{t.day:2}",
    "1": lambda t: str(t.month),
    "2": lambda t: str(t.day),
    "3": lambda t: str(_hour(t)),
    "4": lambda t: str(t.minute),
    "5": lambda t: str(t.second),
}
_ELEMENT = re.compile(
    "January|Jan(?![a-z])|Monday|Mon(?![a-z])|MST|_?2006|__2|002|0[1-6]|15|PM|pm|_2"
    r"|[-Z]07:00:00|[-Z]070000|[-Z]07:00|[-Z]0700|[-Z]07|[.,](?:0+|9+)(?![0-9])|[1-5]"
)


def formatted(layout: str, time: datetime) -> str:
    """Write a time as Go's Format does."""

    def element(found: re.Match[str]) -> str:
        text = found[0]
        if text == "_2006":
            return f"_{time.year:04}"
        if text[0] in "-Z":
            return _offset(text, time)
        if text[0] in ".,":
            return _fraction(text, time) if len(text) <= _LONGEST_NANOSECONDS + 1 else text
        return _ELEMENTS[text](time)

    return _ELEMENT.sub(element, layout)


def _time(value: Any, zone: tzinfo | None) -> datetime:
    """Give a value as a time: a time, or seconds since 1970."""
    try:
        if isinstance(value, datetime):
            return value.astimezone(zone) if zone else value
        if isinstance(value, int) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, zone or UTC).astimezone(zone)
    except (OverflowError, ValueError, OSError):
        raise FunctionFailed("a time is out of range") from None
    raise FunctionFailed("a date is made of `now`, or of seconds since 1970")


def _date(layout: str, value: Any) -> str:
    return formatted(layout, _time(value, None))


def _date_in_zone(layout: str, value: Any, zone: str) -> str:
    try:
        found: tzinfo = ZoneInfo(zone) if zone not in {"", "UTC"} else UTC
    except (KeyError, ValueError, OSError):  # as in sprig, an unknown zone is UTC
        found = UTC
    return formatted(layout, _time(value, found))


def _unix(value: datetime) -> str:
    return str(int(_time(value, None).timestamp()))


FUNCTIONS: Final[Table] = {
    "now": ("", None),
    "date": ("s a", _date),
    "date_in_zone": ("s a s", _date_in_zone),
    "dateInZone": ("s a s", _date_in_zone),
    "htmlDate": ("a", lambda value: _date("2006-01-02", value)),
    "unixEpoch": ("a", _unix),
}
