"""Models that somebody wants installed: a name, or what LocalAI's POST /models/apply takes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from localai.domain.errors import InvalidRequest, SettingInvalid

if TYPE_CHECKING:
    from localai.domain.downloads import ModelPlan
    from localai.gallery.planner import Planner

_LARGEST_BYTES: Final = 1_000_000
_INLINE: Final = ("url", "files", "config_file")  # an entry that stands in the request itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """One model to install.

    `entry_id` is a gallery's name for it, or where its files are; empty when `body` is an entry
    itself. `name` is what to call it, by default as the entry does; `variant` the build to take;
    `overrides` goes over its model file.
    """

    entry_id: str = ""
    name: str = ""
    variant: str = ""
    overrides: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] = field(default_factory=dict)

    @property
    def called(self) -> str:
        """What the model will be called, as far as that is known before it is looked up."""
        return self.name or self.entry_id.rpartition("@")[2]

    async def plan(self, planner: Planner) -> ModelPlan:
        """What installing it takes. Raises as `Planner.plan`."""
        if self.entry_id:
            return await planner.plan(
                self.entry_id, name=self.name, variant=self.variant, overrides=self.overrides
            )
        return await planner.of_request(self.body, name=self.name, overrides=self.overrides)


def wish_of(value: Any) -> Wish:
    """A wish from JSON or YAML: a name, or a mapping. Raises InvalidRequest."""
    if isinstance(value, str) and value.strip():
        return Wish(entry_id=value.strip())
    if not isinstance(value, Mapping):
        raise _wrong(f"{str(value)[:80]!r} is neither a name nor a mapping")
    for key in ("id", "name", "variant", "url"):
        if not isinstance(value.get(key, ""), str):
            raise _wrong(f"its {key} is no text")
    overrides = value.get("overrides") or {}
    if not isinstance(overrides, Mapping):
        raise _wrong("its overrides are no mapping")
    entry_id, name = value.get("id", "").strip(), value.get("name", "").strip()
    is_inline = any(value.get(key) for key in _INLINE)
    if not entry_id and not is_inline:
        entry_id, name = name, ""
    if not entry_id and not (is_inline and name):
        raise _wrong("it needs an `id`, or a `name` with `url`, `files` or `config_file`")
    body = {} if entry_id else {key: item for key, item in value.items() if key != "overrides"}
    return Wish(
        entry_id=entry_id, name=name, variant=value.get("variant", ""), overrides=overrides, body=body
    )  # fmt: skip


def read_wishes(text: str, file: Path | None) -> list[Wish]:
    """The wishes of the settings: a JSON list, and a YAML file with a list.

    Raises SettingInvalid.
    """
    wishes: list[Wish] = []
    if text.strip():
        try:
            wishes += _wishes(json.loads(text))
        except (ValueError, InvalidRequest) as error:
            raise SettingInvalid(f"PRELOAD_MODELS is no JSON list of models: {error}") from None
    if file is not None:
        try:
            data = file.read_bytes()[:_LARGEST_BYTES]
            wishes += _wishes(yaml.safe_load(data))
        except OSError as error:
            raise SettingInvalid(f"{file} cannot be read: {error.strerror or error}.") from None
        except (ValueError, InvalidRequest, yaml.YAMLError) as error:
            raise SettingInvalid(f"{file} is no YAML list of models: {error}") from None
    return wishes


def _wishes(value: Any) -> list[Wish]:
    if not isinstance(value, list):
        raise _wrong("it is no list")
    return [wish_of(one) for one in value]


def _wrong(why: str) -> InvalidRequest:
    return InvalidRequest(
        f"A model to install cannot be read: {why}.",
        hint='Write a name, or {"id": "gallery@name", "name": "what to call it"}.',
    )
