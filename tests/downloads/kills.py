"""Servers that are killed (kill -9) while they install a model, started anew, and asked again.

By hand, at as many moments as wanted: python -m tests.downloads.kills 50
"""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from localai.downloads.names import HIDDEN
from tests.downloads.file_server import Answer, Asked, FileServer, content, running, sha256
from tests.downloads.installing import quarantined, visible
from tests.live import LiveServer, wait_until

FILES = {"m.gguf": content(3_000_000), "mmproj.gguf": content(700_000, seed=2)}
TOTAL = sum(map(len, FILES.values()))
_BLOCK_EVERY_S = 0.03  # so that notes of what came are written while it comes
_Range = tuple[int, int]


@dataclass(frozen=True)
class Moment:
    """When to kill: so long after the file server has sent so many bytes; -1 is before the request."""

    after_bytes: int
    pause_s: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """What a killed install was sent and had left, and what the next one fetched."""

    visible: frozenset[str]
    sent_bytes: int
    kept_bytes: int
    fetched_bytes: int


@contextlib.contextmanager
def serving_files() -> Iterator[FileServer]:
    with running() as files:
        for name, data in FILES.items():
            files.add(f"/{name}", data)
        yield files


def install_and_kill(folder: Path, files: FileServer, moment: Moment) -> Outcome:
    """Begin an install, kill its server at `moment`, look at what is there, and ask a second one.

    Whatever is visible after the kill is whole, and a model file only beside all its files. The
    second server completes the model, and asks for no byte that the first had noted.
    """
    folder.mkdir(exist_ok=True)
    files.rule = _slowly
    with _server(folder) as first:
        killed = _kill_at(first, files, moment)
        with contextlib.suppress(OSError, http.client.HTTPException):  # nobody is there any more
            first.post("/models/apply", _entry(files))
        assert killed.wait(60)
        first.process.wait()
    seen = visible(folder)
    assert all(FILES[name] == data for name, data in seen.items() if name in FILES), sorted(seen)
    assert "m.yaml" not in seen or set(FILES) <= set(seen), sorted(seen)
    kept = _noted(folder) | {name: [(0, len(FILES[name]))] for name in seen if name in FILES}
    files.rule = lambda _, answer: answer
    sent_bytes = sum(files.sent.values())
    files.asked.clear()
    files.sent.clear()
    with _server(folder) as second:
        jobs = [_ended(second, second.post("/models/apply", _entry(files)).json["uuid"])]
        jobs += second.get("/models/jobs").json.values()
        assert all("error" not in job for job in jobs), jobs
        assert "m" in {model["id"] for model in second.get("/v1/models").json["data"]}
    now = visible(folder)
    assert set(now) == {*FILES, "m.yaml"}
    assert all(now[name] == data for name, data in FILES.items())
    assert quarantined(folder) == []
    for asked in files.asked:
        _check_is_new(asked, kept.get(asked.path.removeprefix("/"), []))
    return Outcome(
        visible=frozenset(seen),
        sent_bytes=sent_bytes,
        kept_bytes=sum(end - start for ranges in kept.values() for start, end in ranges),
        fetched_bytes=sum(files.sent.values()),
    )


def _server(folder: Path) -> LiveServer:
    return LiveServer(folder, "--allow-private-fetch")


def _slowly(_: Asked, answer: Answer) -> Answer:
    return replace(answer, pause_s=_BLOCK_EVERY_S)


def _kill_at(server: LiveServer, files: FileServer, moment: Moment) -> threading.Event:
    """Have the server killed at `moment`, from the thread that sends it its files."""
    begun, killed = threading.Event(), threading.Event()

    def kill() -> None:
        server.process.kill()
        killed.set()

    def watch(sent: int) -> None:
        if sent >= moment.after_bytes and not begun.is_set():
            begun.set()
            threading.Timer(moment.pause_s, kill).start() if moment.pause_s else kill()

    files.watch = watch
    if moment.after_bytes < 0:
        watch(0)
    return killed


def _entry(files: FileServer) -> dict[str, Any]:
    listed = [
        {"filename": name, "uri": files.address(f"/{name}"), "sha256": sha256(data)}
        for name, data in FILES.items()
    ]
    return {
        "name": "m",
        "files": listed,
        "overrides": {"parameters": {"model": "m.gguf"}, "mmproj": "mmproj.gguf", "backend": "llama-cpp"},
    }  # fmt: skip


def _ended(server: LiveServer, job_id: str) -> dict[str, Any]:
    def probe() -> dict[str, Any]:
        job: dict[str, Any] = server.get(f"/models/jobs/{job_id}").json
        return job if job["processed"] else {}

    return wait_until(probe, "the end of the job")


def _noted(folder: Path) -> dict[str, list[_Range]]:
    """What the notes in quarantine say is there, by the name of the file."""
    found = {}
    for path in (folder / HIDDEN / "downloads").glob("*.json"):
        note = json.loads(path.read_bytes())
        found[note["name"]] = [(start, end) for start, end in note["done"]]
    return found


def _check_is_new(asked: Asked, kept: list[_Range]) -> None:
    wanted = asked.range or (0, TOTAL)
    both = [one for one in kept if one[0] < wanted[1] and wanted[0] < one[1]]
    assert both == [], f"{asked.path}: {wanted} was asked for, and {kept} was there"


def main(kills: int) -> None:
    """Kill at random moments; the file server's last byte is about two thirds of the way."""
    outcomes = []
    for number in range(kills):
        share = random.random() * 1.5
        late_s = max(0.0, share - 1) * random.random()
        moment = Moment(int(share * 1.05 * TOTAL) - TOTAL // 20 if share < 1 else TOTAL, late_s)
        with tempfile.TemporaryDirectory() as name, serving_files() as files:
            outcome = install_and_kill(Path(name) / "models", files, moment)
        outcomes.append(outcome)
        text = f"{number + 1}: sent {outcome.sent_bytes}, killed {1000 * late_s:.0f} ms later: kept {outcome.kept_bytes}, then fetched {outcome.fetched_bytes};"
        print(text, "visible:", *sorted(outcome.visible), flush=True)  # noqa: T201 - it tells whoever runs it
    whole = sum("m.yaml" in outcome.visible for outcome in outcomes)
    twice = max(one.sent_bytes + one.fetched_bytes - TOTAL for one in outcomes)
    print(f"{kills} kills: {whole} left a whole model, {kills - whole} none; every one was completed by the next server, which fetched at most {twice} bytes twice")  # noqa: T201  # fmt: skip


if __name__ == "__main__":
    main(int(sys.argv[1]))
