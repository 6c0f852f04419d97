"""LocalAI's format is read, and no text of it costs more than it should."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from localai.gallery.index import (
    BadEntry,
    BadIndex,
    inline_entry,
    read_base,
    read_index,
    size_of,
)
from tests.gallery.localai_gallery import write_gallery


def test_every_entry_of_a_public_gallery_is_read(tmp_path: Path) -> None:
    data = write_gallery(tmp_path, "https://example.org/files").read_bytes()
    index = read_index(data, gallery="localai")
    assert index.problems == ()
    entries = {entry.name: entry for entry in index.entries}
    assert len(entries) == 20
    first = entries["tiny-chat"]
    assert first.tags == ("llm", "gguf", "cpu")
    assert first.description == "A tiny model.\n\nIt is for tests."
    assert first.last_checked == "2026-08-19"
    renamed = entries["tiny-chat-renamed"]
    assert (renamed.files, renamed.base_url) == (first.files, first.base_url)
    assert entries["sizes"].variants == ("sizes-q8",)
    assert entries["sizes"].size_bytes == 1_500_000_000
    assert entries["tiny-inline-text"].config["stopwords"] == ["<|end|>"]
    assert entries["tiny-eyes"].backend == "llama-cpp"


def test_one_bad_entry_does_not_take_the_others_along() -> None:
    index = read_index(
        b"- name: good\n  files: [{uri: 'https://example.org/a.gguf'}]\n"
        b"- just a word\n"
        b"- name: leaves\n  files: [{filename: ../../etc/x, uri: 'https://example.org/x'}]\n"
        b"- name: sums\n  files: [{filename: x, uri: 'https://example.org/x', sha256: abc}]\n"
        b"- description: no name\n- name: good\n  description: the second of that name\n",
        gallery="g",
    )
    assert [entry.name for entry in index.entries] == ["good"]
    assert index.entries[0].files[0].filename == "a.gguf"
    assert len(index.problems) == 4
    assert "The file name '../../etc/x'" in index.problems[1]


@pytest.mark.parametrize(
    "data",
    [
        b"name: a mapping",
        b"- [",
        b"\xff\xfe\x00",
        b"- &a [*a]\n- *b",
        b"!!python/object:os.system {}",
    ],
)
def test_what_is_no_index_is_refused(data: bytes) -> None:
    with pytest.raises(BadIndex):
        read_index(data, gallery="g")


def test_an_empty_index_is_one() -> None:
    assert read_index(b"", gallery="g").entries == ()
    assert read_index(b"# nothing yet\n", gallery="g").entries == ()


def test_a_text_that_grows_when_it_is_written_out_is_refused_quickly() -> None:
    laughs = "".join(
        f"x{i}: &x{i} [{', '.join([f'*x{i - 1}'] * 10)}]\n" if i else "x0: &x0 ha\n"
        for i in range(30)
    )
    merges = "a0: &a0 {k0: v}\n" + "".join(
        f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 9)}]}}\n" for i in range(1, 30)
    )
    began_s = time.monotonic()
    text = "- name: a\n  overrides:\n" + "".join(f"    {line}\n" for line in laughs.splitlines())
    assert read_index(text.encode(), gallery="g").entries == ()
    with pytest.raises(BadIndex):
        read_base(("config_file:\n" + "".join(f"  {x}\n" for x in merges.splitlines())).encode())
    with pytest.raises(BadIndex):
        read_index(b"- " + b"[" * 100_000, gallery="g")
    assert time.monotonic() - began_s < 60  # without the limits it would never end


def test_an_endless_value_is_refused() -> None:
    index = read_index(b"- name: a\n  overrides: &o {b: *o}\n", gallery="g")
    assert "levels" in index.problems[0]


def test_a_base_configuration() -> None:
    base = read_base(
        b"config_file: |\n  backend: piper\nlicense: mit\n"
        b"prompt_templates: [{name: chat, content: '{{.Input}}'}]\n"
    )
    assert base.config == {"backend": "piper"}
    assert (base.templates[0].name, base.license) == ("chat", "mit")
    assert read_base(b"").config == {}
    for bad in (b"- a", b"config_file: [1]", b"config_file: 'a: ['"):
        with pytest.raises(BadIndex):
            read_base(bad)


def test_what_only_gos_reader_takes() -> None:
    base = read_base(
        b'config_file: |\n  function: {replace_function_results: [{key: "\\\'", value: x}]}\n'
    )
    assert base.config["function"]["replace_function_results"][0]["key"] == "'"
    with pytest.raises(BadIndex):
        read_base(b'config_file: |\n  a: "\\q"\n')


@pytest.mark.parametrize(
    ("written", "size"),
    [
        ("108MB", 108_000_000),
        ("1.5GB", 1_500_000_000),
        ("2 GiB", 2 << 30),
        ("12", 12),
        ("much", 0),
        ("", 0),
    ],
)
def test_sizes(written: str, size: int) -> None:
    assert size_of(written) == size


def test_an_entry_may_stand_in_a_request() -> None:
    entry = inline_entry(
        {"files": [{"uri": "https://example.org/a.gguf"}], "overrides": {"f16": True}}
    )
    assert (entry.name, entry.gallery, entry.backend) == ("", "", "llama-cpp")
    with pytest.raises(BadEntry):
        inline_entry({"overrides": ["f16"]})
