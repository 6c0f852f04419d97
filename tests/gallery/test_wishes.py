"""Models to install, as settings and requests spell them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from localai.domain.errors import InvalidRequest, SettingInvalid
from localai.gallery.wishes import Wish, read_wishes, wish_of


@pytest.mark.parametrize(
    ("value", "wish"),
    [
        ("qwen3-8b", Wish(entry_id="qwen3-8b")),
        ({"id": "localai@phi", "name": "mine"}, Wish(entry_id="localai@phi", name="mine")),
        ({"name": "phi"}, Wish(entry_id="phi")),
        ({"id": "a", "variant": "q8", "overrides": {"f16": True}}, Wish(entry_id="a", variant="q8", overrides={"f16": True})),
        ({"url": "github:a/b/c.yaml", "name": "m"}, Wish(name="m", body={"url": "github:a/b/c.yaml", "name": "m"})),
    ],
)  # fmt: skip
def test_what_a_wish_may_be(value: Any, wish: Wish) -> None:
    assert wish_of(value) == wish


@pytest.mark.parametrize(
    "value", [1, "", [], {}, {"id": 1}, {"files": [{"uri": "x"}]}, {"id": "a", "overrides": [1]}]
)
def test_what_it_may_not_be(value: Any) -> None:
    with pytest.raises(InvalidRequest):
        wish_of(value)


def test_the_two_settings_add_up(tmp_path: Path) -> None:
    path = tmp_path / "models.yaml"
    path.write_text("- id: c\n  name: d\n- e\n")
    wishes = read_wishes('[{"id": "g@b"}]', path)
    assert [wish.called for wish in wishes] == ["b", "d", "e"]
    assert read_wishes("", None) == []


@pytest.mark.parametrize("text", ["{", "{}", "[1]", '"a"'])
def test_a_list_that_is_none(text: str, tmp_path: Path) -> None:
    with pytest.raises(SettingInvalid, match="PRELOAD_MODELS"):
        read_wishes(text, None)
    path = tmp_path / "x.yaml"
    for written in ("a: [", "a: 1", "- 1"):
        path.write_text(written)
        with pytest.raises(SettingInvalid, match=r"x\.yaml"):
            read_wishes("", path)
    with pytest.raises(SettingInvalid, match="cannot be read"):
        read_wishes("", tmp_path / "none.yaml")
