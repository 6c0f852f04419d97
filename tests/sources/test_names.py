"""Every spelling of a source, and what no spelling may do."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localai.domain.errors import InvalidRequest
from localai.sources import is_written_as_source, parse
from localai.sources.names import Written

COMMIT = "0123456789abcdef0123456789abcdef01234567"
DIGEST = "sha256:" + "a" * 64


def of(source: str, **fields: str) -> dict[str, str]:
    return {"source": source, **fields}


SPELLINGS = {
    "owner/repo": of("huggingface", repository="owner/repo"),
    "owner/repo@v1.2": of("huggingface", repository="owner/repo", revision="v1.2"),
    "TheBloke/Some-13B-GGUF/some.Q4_K_M.gguf": of(
        "huggingface", repository="TheBloke/Some-13B-GGUF", path="some.Q4_K_M.gguf"
    ),
    f"owner/repo@{COMMIT}/a/b.gguf": of(
        "huggingface", repository="owner/repo", path="a/b.gguf", revision=COMMIT
    ),
    "owner/repo/b.gguf@refs/pr/3": of(
        "huggingface", repository="owner/repo", path="b.gguf", revision="refs/pr/3"
    ),
    "huggingface://owner/repo/b.gguf": of("huggingface", repository="owner/repo", path="b.gguf"),
    "hf://owner/repo": of("huggingface", repository="owner/repo"),
    "HF://owner/repo/b.gguf@main": of(
        "huggingface", repository="owner/repo", path="b.gguf", revision="main"
    ),
    "hf.co/owner/repo:Q8_0": of("huggingface", repository="owner/repo", quantization="Q8_0"),
    "https://huggingface.co/owner/repo": of("huggingface", repository="owner/repo"),
    "https://huggingface.co/owner/repo/resolve/v2/dir/b%20c.gguf?download=true": of(
        "huggingface", repository="owner/repo", path="dir/b c.gguf", revision="v2"
    ),
    "https://huggingface.co/owner/repo/blob/main/b.gguf": of(
        "huggingface", repository="owner/repo", path="b.gguf", revision="main"
    ),
    "ollama://gemma:2b": of(
        "ollama", host="registry.ollama.ai", repository="library/gemma", revision="2b"
    ),
    "ollama://someone/model": of(
        "ollama", host="registry.ollama.ai", repository="someone/model", revision="latest"
    ),
    "ollama://127.0.0.1:9/library/m:t": of(
        "ollama", host="127.0.0.1:9", repository="library/m", revision="t"
    ),
    "oci://ghcr.io/org/models/m:1.0": of(
        "oci", host="ghcr.io", repository="org/models/m", revision="1.0"
    ),
    f"quay.io/org/m@{DIGEST}": of("oci", host="quay.io", repository="org/m", revision=DIGEST),
    "docker.io/m:t": of("oci", host="registry-1.docker.io", repository="library/m", revision="t"),
    "oci://127.0.0.1:5000/m": of("oci", host="127.0.0.1:5000", repository="m", revision="latest"),
    "github:org/repo/a/b.yaml@master": of(
        "github", repository="org/repo", path="a/b.yaml", revision="master"
    ),
    "github://org/repo/b.yaml": of("github", repository="org/repo", path="b.yaml", revision="main"),
    "https://example.org/a/b.gguf?x=1": of("web", address="https://example.org/a/b.gguf?x=1"),
    "file:///models/a%20b.gguf": of("file", path="/models/a b.gguf"),
    "/models/a.gguf": of("file", path="/models/a.gguf"),
    "./a.gguf": of("file", path="./a.gguf"),
    "~/a.gguf": of("file", path="~/a.gguf"),
}


@pytest.mark.parametrize("written", SPELLINGS)
def test_a_name_leads_to_its_source(written: str) -> None:
    assert parse(written) == Written(written=written, **SPELLINGS[written])
    assert is_written_as_source(written)


SOURCES = {
    "of Hugging Face": "huggingface", "build of it": "huggingface", "file of it": "huggingface",
    "as LocalAI has it": "huggingface", "tag or commit": "huggingface",
    "page or file": "huggingface", "Ollama": "ollama", "OCI": "oci", "GitHub": "github",
    "web": "web", "this machine": "file",
}  # fmt: skip


def documented() -> list[tuple[str, str]]:
    """The examples of the documentation, each with the source that its row names."""
    text = (Path(__file__).parents[2] / "docs/reference/galleries.md").read_text()
    table = text.partition("<!-- table: names -->")[2].partition("<!-- end -->")[0]
    rows = [row.split("|")[1:3] for row in table.strip().splitlines()[2:]]
    source = {form: next(SOURCES[word] for word in SOURCES if word in form) for form, _ in rows}
    return [(name, source[form]) for form, names in rows for name in re.findall("`(.+?)`", names)]


@pytest.mark.parametrize(("written", "source"), documented())
def test_every_documented_form_is_a_name(written: str, source: str) -> None:
    found = parse(written)
    assert found is not None
    assert found.source == source


@pytest.mark.parametrize("name", ["llama-3.2-1b", "gallery@name", "llama3:8b", "a b", "", "x.gguf"])
def test_a_plain_word_is_for_the_galleries(name: str) -> None:
    assert parse(name) is None
    assert not is_written_as_source(name)


@pytest.mark.parametrize(
    "written",
    [
        "ftp://example.org/a.gguf",
        "s3://bucket/a.gguf",
        "ocifile:///srv/image.tar",
        "hf://owner",
        "hf://../../etc/passwd",
        "owner/repo@/b.gguf",
        "owner/repo/b.gguf@../..",
        "ollama://",
        "ollama://a/b/c/d",
        "ollama://m:",
        "oci://host",
        "oci://host/UPPER",
        "oci://host/m@sha256:12",
        "github:org/repo",
        "github:org/repo/../../x",
        "http://",
        "http://[broken/",
        "https:///a",
        "a/b\x00c",
        "a/b\nHost: x",
        "x" * 5000,
    ],
)
def test_what_cannot_be_a_name_is_refused_in_a_sentence(written: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse(written)
    assert refused.value.message.endswith(".")
    assert refused.value.hint
    assert refused.value.message.isprintable()


@given(st.text(max_size=60) | st.from_regex(r"(hf|ollama|oci|github|https?|file):(//)?.{0,60}"))
def test_any_text_is_a_name_or_is_refused(written: str) -> None:
    try:
        found = parse(written)
    except InvalidRequest:
        return
    if found is None:
        return
    assert found.source in {"huggingface", "ollama", "oci", "github", "web", "file"}
    if found.source in {"ollama", "oci", "github", "huggingface"}:
        assert ".." not in found.repository.split("/")
        assert "@" not in found.host
        assert ".." not in found.revision
