"""Models are switched off and on, and kept in memory, as LocalAI's pages do it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live import LiveServer, echo_yaml, fill_models, wait_until, write_models

WRITTEN = "# my own words\nname: parrot\nbackend: echo\ndisabled:   true   # for now\n"


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("toggles") / "models"
    files = {
        "parrot.yaml": WRITTEN,
        "team.yaml": echo_yaml("team/one"),
        "several.yaml": "- {name: a, backend: echo}\n- {name: b, backend: echo}\n",
        "other.yaml": "name: other\nalias: team/one\n",
    }
    with LiveServer(write_models(folder, files)) as running:
        yield running


def test_a_model_is_switched_on_and_off(live: LiveServer) -> None:
    assert live.say("parrot", "Hi").status == 403
    done = live.request("PUT", "/models/toggle-state/parrot/enable").json
    assert (done["success"], done["filename"]) == (True, "parrot.yaml")
    text = (live.folder / "parrot.yaml").read_text()
    assert text == WRITTEN.replace("disabled:   true   # for now", "disabled: false")
    assert live.say("parrot", "Hi").status == 200
    assert live.request("PUT", "/models/toggle-state/parrot/disable").status == 200
    assert live.say("parrot", "Hi").status == 403
    wait_until(lambda: not live.get("/api/ps").json["models"], "the end of its worker")


def test_a_model_is_pinned(live: LiveServer) -> None:
    done = live.request("PUT", "/models/toggle-pinned/team/one/pin").json
    assert "never unloaded" in done["message"]
    assert (live.folder / "team.yaml").read_text() == echo_yaml("team/one") + "pinned: true\n"
    assert live.request("PUT", "/models/toggle-pinned/team/one/unpin").status == 200
    assert (live.folder / "team.yaml").read_text() == echo_yaml("team/one") + "pinned: false\n"


def test_aliases_are_listed(live: LiveServer) -> None:
    assert live.get("/api/aliases").json == {"other": "team/one"}


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("toggle-state/parrot/stop", 400, "/disable or /enable"),
        ("toggle-pinned/parrot/enable", 400, "/pin or /unpin"),
        ("toggle-state/nobody/enable", 404, "nobody"),
        ("toggle-state/a/disable", 400, "together with others"),
    ],
)
def test_what_cannot_be_switched_is_said(
    live: LiveServer, path: str, status: int, said: str
) -> None:
    reply = live.request("PUT", f"/models/{path}")
    assert (reply.status, said in reply.error["message"]) == (status, True), reply.body


def test_weights_without_a_model_file_get_one(tmp_path: Path) -> None:
    from localai.catalog.folder import ModelFolder
    from localai.downloads.model_files import set_flag

    folder = fill_models(tmp_path / "models")
    (folder / "text.yaml").unlink()
    (folder / "stopping.yaml").unlink()
    spec = ModelFolder(folder).catalog().specs["text"]
    path = set_flag(spec, "pinned", is_on=True, models_path=folder)
    assert path.name == "text.yaml"
    assert ModelFolder(folder).catalog().specs["text"].pinned
