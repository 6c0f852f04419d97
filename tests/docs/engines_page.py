"""The tables of docs/reference/engines.md, made from the manifest and the Makefile. To write them anew:

python -m tests.docs.engines_page
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from localai.engines.manifest import BackendEntry, Manifest, Variant

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "reference" / "engines.md"
AGAIN = "python -m tests.docs.engines_page writes the page anew"
_TASKS = {
    "generate": "text",
    "embed": "vectors",
    "rerank": "ranks",
    "transcribe": "hears",
    "synthesize": "speaks",
    "detect_speech": "finds speech",
}
_HARDWARE = {
    "cuda12": "an NVIDIA card",
    "cuda13": "an NVIDIA card",
    "rocm": "an AMD card",
    "intel": "an Intel GPU",
    "vulkan": "a GPU with Vulkan",
    "metal": "a Mac",
}
_BY_HAND = {"transformers", "sentencetransformers", "rerankers"}  # on one NVIDIA card
_ELSEWHERE = {"huggingface": "every task, against a server of the tests that plays the API"}


def page(text: str) -> str:
    """Give the document with its tables as the manifest says."""
    for name, lines in {"engines": _engines(), "builds": _builds()}.items():
        table = "\n".join(lines)
        marked = re.compile(rf"(<!-- table: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        text, found = marked.subn(lambda at, table=table: f"{at[1]}\n{table}\n\n{at[2]}", text)
        assert found == 1, f"{DOCUMENT} has no place for the table {name}"
    return text


def installed_by_ci() -> frozenset[str]:
    """The engines that `make engines` installs, which the CI runs."""
    listed = re.search(
        r"^tested_engines := ((?:.*\\\n)*.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE
    )
    assert listed
    return frozenset(listed[1].replace("\\\n", " ").split())


def _engines() -> Iterator[str]:
    yield "| engine | other names | does | license | what it is |"
    yield "|---|---|---|---|---|"
    for entry in Manifest().entries():
        names = ", ".join(f"`{alias}`" for alias in entry.aliases)
        types = sorted(f"`{other}` with `type: {kind}`" for other, kind in entry.types)
        does = ", ".join(_TASKS[task] for task in entry.tasks if task in _TASKS)
        called = "<br>".join(filter(None, [names, *types]))
        summary = " ".join(filter(None, [entry.summary, entry.notes]))
        name = f"[`{entry.name}`]({entry.url})" if entry.url else f"`{entry.name}`"
        yield f"| {name} | {called} | {does} | {entry.license} | {summary} |"


def _builds() -> Iterator[str]:
    yield "| engine | build | download | on the disk | what ran in the CI |"
    yield "|---|---|---|---|---|"
    run = installed_by_ci()
    for entry in Manifest().entries():
        if entry.is_bundled:
            yield f"| `{entry.name}` | with the server | | | {_ran(entry, None, run)} |"
        for variant in entry.variants:
            sizes = f"{_size(variant.download_bytes)} | {_size(variant.disk_bytes)}"
            yield f"| `{entry.name}` | {variant.name} | {sizes} | {_ran(entry, variant, run)} |"


def _ran(entry: BackendEntry, variant: Variant | None, run: frozenset[str]) -> str:
    if entry.name in _ELSEWHERE:
        return _ELSEWHERE[entry.name]
    if variant is None or (variant.name == "cpu" and entry.name in run):
        return "every task, on a processor"
    if variant.name == "cpu":
        return "nothing: it is not installed there"
    tried = ""
    if variant.name == "cuda13" and entry.name in _BY_HAND:
        tried = "; [tried by hand](../howto/gpu.md#what-was-tried)"
    return f"nothing: it needs {_HARDWARE[variant.name]}; versions and hashes are pinned{tried}"


def _size(size_bytes: int) -> str:
    return f"{size_bytes // 1_000_000} MB" if size_bytes else ""


if __name__ == "__main__":
    DOCUMENT.write_text(page(DOCUMENT.read_text()))
