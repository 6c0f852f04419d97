"""The index that comes with the package: models of every task, each with what choosing one needs."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from localai.engines.manifest import Manifest
from localai.gallery.entry import Entry
from localai.gallery.galleries import PACKAGED
from localai.gallery.index import Base, read_index
from localai.gallery.plan import ChosenEntry, make_plan

INDEX = read_index(PACKAGED.read_bytes(), gallery="builtin")
BUILDS = {name for entry in INDEX.entries for name in entry.variants}

# The words of SPDX, of Hugging Face's license tags, and of makers with terms of their own.
LICENSES = {
    "apache-2.0", "mit", "cc0-1.0", "cc-by-4.0", "gemma", "llama3.1", "llama3.2", "lfm1.0", "other",
}  # fmt: skip
USECASES = {
    "llama-cpp": {"chat", "vision", "embeddings", "rerank"},
    "whisper": {"transcript"},
    "piper": {"tts"},
}

every_entry = pytest.mark.parametrize("entry", INDEX.entries, ids=lambda entry: entry.name)


def test_it_is_read_as_a_whole() -> None:
    assert INDEX.problems == ()
    written = re.findall(r"^- name: (.+)$", PACKAGED.read_text(), re.MULTILINE)
    assert [entry.name for entry in INDEX.entries] == written
    assert len(written) == len(set(written))


def test_there_are_models_of_every_task_and_size() -> None:
    models = [entry for entry in INDEX.entries if entry.name not in BUILDS]
    assert 35 <= len(models) <= 60
    cases = Counter(case for entry in models for case in entry.overrides["known_usecases"])
    assert set(cases) == set().union(*USECASES.values())
    assert min(cases[case] for case in ("chat", "vision", "embeddings", "transcript", "tts")) >= 4
    chats = [one.size_bytes for one in models if one.overrides["known_usecases"] == ["chat"]]
    assert min(chats) < 300e6
    assert max(chats) > 18e9


def test_variants_are_entries_of_the_same_engine() -> None:
    entries = {entry.name: entry for entry in INDEX.entries}
    for entry in INDEX.entries:
        for name in entry.variants:
            assert entries[name].backend == entry.backend
            assert not entries[name].variants


@every_entry
def test_an_entry_says_what_choosing_it_needs(entry: Entry) -> None:
    assert re.fullmatch(r"[a-z0-9][a-z0-9._-]*", entry.name)
    assert entry.description.endswith(".")
    assert entry.license in LICENSES
    assert entry.size_bytes > 0
    assert entry.tags
    assert all(url.startswith("https://") for url in entry.urls)
    cases = set(entry.overrides["known_usecases"])
    assert cases <= USECASES[entry.backend]


@every_entry
def test_its_files_have_one_place_and_a_checksum(entry: Entry) -> None:
    assert entry.files
    for file in entry.files:
        assert file.uri.startswith("huggingface://")
        assert file.uri.count("/") >= 4, "an owner, a repository and a file"
        # The voices' hosts do not publish sums of small files; those are checked by what they announce.
        assert file.sha256 or file.filename.endswith((".onnx", ".onnx.json"))


@every_entry
def test_an_engine_here_runs_it_and_its_model_file_is_whole(entry: Entry) -> None:
    backend = Manifest().find(entry.backend)
    assert not backend.name.startswith("echo")
    plan = make_plan(ChosenEntry(entry, ""), Base(config={}), {}, name=entry.name)
    names = {file.filename for file in plan.files}
    assert entry.overrides["parameters"]["model"] in names
    assert entry.overrides.get("mmproj", plan.files[0].filename) in names


def test_no_two_entries_write_different_files_to_one_place() -> None:
    places: dict[str, str] = {}
    for entry in INDEX.entries:
        for file in entry.files:
            assert places.setdefault(file.filename, file.uri) == file.uri
