"""No name leads out of the models folder."""

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from localai.domain.errors import InvalidRequest
from localai.downloads.names import model_file_name, place, safe_name, safe_weights_name

HOSTILE = [
    "",
    ".",
    "..",
    "../x",
    "a/../../x",
    "a/..",
    "/etc/passwd",
    "//server/share",
    "\\\\server\\share",
    "a\\..\\b",
    "C:/windows/x",
    "C:x",
    "~/x",
    "~root/x",
    "a//b",
    "a/",
    "a/./b",
    ".hidden",
    ".local-ai/models/x.json",
    "a/.ssh/authorized_keys",
    "a\x00b",
    "a\nb",
    "a\u202egnp.exe",
    "a\u2028b",
    "a\u200bb",
    "\ud800",
    "con",
    "CON.gguf",
    "a/nul.txt",
    "COM1",
    "lpt9.bin",
    "com¹.gguf",
    "conin$",
    "aux .gguf",
    "a.",
    "a /b",
    " a",
    "a?b",
    "a*b",
    "a|b",
    "a<b",
    'a"b',
    "file:stream",
    "x" * 241,
    "ä" * 121,
    "a/" * 8 + "b",
    "/".join(["x" * 230] * 5),
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_refused_in_a_sentence(name: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        safe_name(name)
    assert refused.value.message.isprintable()
    assert refused.value.message.endswith(".")
    assert len(refused.value.message) < 700


@pytest.mark.parametrize(
    "name", ["a.gguf", "owner/repo/model-00001-of-00002.safetensors", "Ünï.gguf", "a b (1).gguf", "console.gguf", "a..b"]
)  # fmt: skip
def test_an_ordinary_name_is_allowed(name: str) -> None:
    assert safe_name(name) == name


def test_a_download_is_no_model_file() -> None:
    assert safe_weights_name("folder/config.yaml")
    for name in ("x.yaml", "x.YML"):
        with pytest.raises(InvalidRequest):
            safe_weights_name(name)


def test_a_link_does_not_lead_out(tmp_path: Path) -> None:
    models, elsewhere = tmp_path / "models", tmp_path / "elsewhere"
    models.mkdir()
    elsewhere.mkdir()
    (models / "link").symlink_to(elsewhere)
    (models / "inside").mkdir()
    (models / "short").symlink_to(models / "inside")
    with pytest.raises(InvalidRequest):
        place(models, "link/x.gguf")
    assert place(models, "short/x.gguf") == models / "short/x.gguf"


parts = st.sampled_from(["..", ".", "", "a", "C:", "~", "con", "\\", "..\\..", "\x00", " ", "a.gguf"])  # fmt: skip


@given(st.text(max_size=40) | st.lists(parts, max_size=6).map("/".join))
@example("a/b/../../..")
def test_every_allowed_name_stays_inside(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:  # fmt: skip
    folder = Path("/models")
    try:
        safe_name(name)
    except InvalidRequest:
        return
    target = folder / name
    assert target.resolve().is_relative_to(folder)
    assert target != folder
    assert not any(part.startswith(".") for part in target.relative_to(folder).parts)


def test_a_model_file_is_named_like_its_model() -> None:
    assert model_file_name("owner/model") == "owner__model.yaml"
    assert model_file_name("llama3:8b") == "llama3__8b.yaml"
    for name in ("", " x", "..", "../x", "a\\b", "\x00"):
        with pytest.raises(InvalidRequest):
            model_file_name(name)
