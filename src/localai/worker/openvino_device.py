"""Where OpenVINO computes: the words of `main_gpu`, held against the devices there are."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from localai.domain.errors import StartFailed

AUTO: Final = "AUTO"
_OVER_DEVICES: Final = (AUTO, "MULTI", "HETERO")  # modes, not devices: they choose among some
_FASTEST_FIRST: Final = ("GPU", "NPU", "CPU")


@dataclass(frozen=True, slots=True)
class OpenVinoDevice:
    """`name` is OpenVINO's, such as `AUTO:GPU,CPU`; `names` are what people call the devices."""

    name: str
    names: dict[str, str]
    is_only_one: bool = False

    def said(self, compiled: Any) -> str:
        """What listings show of a compiled model: where it runs, in the end."""
        used: list[str] = []
        with suppress(RuntimeError, TypeError):
            model = (
                compiled.get_compiled_model()
                if hasattr(compiled, "get_compiled_model")
                else compiled
            )
            used = [str(one).strip("()") for one in model.get_property("EXECUTION_DEVICES")]
        found = used or [self.name]
        shown = ", ".join(
            f"{one} ({self.names[one]})" if one in self.names else one for one in found
        )
        if self.is_only_one:
            return f"{shown}, the only device that OpenVINO found"
        return shown if self.name in found else f"{shown}, as {self.name} chose"


def choose_device(core: Any, wanted: str = "") -> OpenVinoDevice:
    """The device a model file wants, else the best there is. Raises StartFailed when it is not there.

    MULTI and HETERO without devices get all there are.
    """
    there = list(core.available_devices)
    names = {name: str(core.get_property(name, "FULL_DEVICE_NAME")) for name in there}
    asked = wanted.strip().upper().replace(" ", "")
    if not asked:
        only = len(there) == 1
        return OpenVinoDevice(there[0] if only else AUTO, names, is_only_one=only)
    mode, _, listed = asked.partition(":")
    if mode not in _OVER_DEVICES:
        _check([asked], there, wanted)
        return OpenVinoDevice(asked, names)
    given = [name for name in listed.split(",") if name]
    but = [name.removeprefix("-") for name in given if name.startswith("-")]
    plain = [name for name in given if not name.startswith("-")]
    _check(plain, there, wanted)
    left = [
        name
        for name in sorted(plain or there, key=lambda name: -1 if plain else _rank(name))
        if not any(_is_of(name, other) for other in but)
    ]
    if not left:
        raise StartFailed(
            f"main_gpu is {wanted!r}, which leaves no device: OpenVINO found {', '.join(there)}.",
            hint="Leave `main_gpu` out, or install the driver of the device.",
        )
    if mode == AUTO and not given:
        return OpenVinoDevice(AUTO, names)
    return OpenVinoDevice(f"{mode}:{','.join(left)}", names)


def _check(named: list[str], there: list[str], wanted: str) -> None:
    missing = [name for name in named if not any(_is_of(one, name) for one in there)]
    if missing:
        raise StartFailed(
            f"main_gpu is {wanted!r}, and OpenVINO found no {missing[0]}: it found {', '.join(there)}.",
            hint="Leave `main_gpu` out, or name one of these, or AUTO, MULTI or HETERO; a device "
            "shows once its driver is installed.",
        )


def _is_of(device: str, name: str) -> bool:
    """Whether a device is meant by `name`: GPU means GPU.0 as well."""
    return device == name or device.partition(".")[0] == name


def _rank(name: str) -> int:
    kind = name.partition(".")[0]
    return _FASTEST_FIRST.index(kind) if kind in _FASTEST_FIRST else len(_FASTEST_FIRST)
