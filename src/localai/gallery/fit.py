"""Which build of a model suits this machine: the largest that fits into its free memory.

Everything here is a pure function of sizes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from localai.catalog.defaults import CONTEXT_STEPS, HEADROOM
from localai.catalog.gguf import PART

CONTEXT_TOKENS: Final = CONTEXT_STEPS[0]  # what a model that says nothing else gets where it fits

# The cache of one token, guessed from the size of the weights where nobody wrote it down:
# FULL_CACHE bytes for 1 GB, growing with this power. Fitted to published configurations with
# grouped attention: 23 kB for 0.1 GB (SmolLM2 135M), 115 kB for 0.6 GB (Qwen3 0.6B), 147 kB for
# 5 GB (Qwen3 8B), 262 kB for 20 GB (Qwen3 32B).
_CACHE_BYTES_AT_1_GB: Final = 100_000
_CACHE_GROWTH: Final = 0.35

_NO_MODEL: Final = ("mmproj", "imatrix")
_QUANTISATION: Final = re.compile(
    r"(?:^|[-_.])((?:UD-)?(?:IQ\d|Q\d|TQ\d|MXFP\d|NVFP\d)(?:_[0-9A-Z]+)*|BF16|F16|FP16|F32|FP32)(?=$|[-_.])",
    re.IGNORECASE,
)
_UNQUANTISED: Final = frozenset({"BF16", "F16", "FP16", "F32", "FP32"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """One build of a model: the same weights in another quantisation, say.

    `size_bytes` is what its files weigh and `kv_bytes_per_token` what a token takes in the
    attention cache, 0 when unknown. `files` are its files, the one to load first.
    """

    name: str
    size_bytes: int = 0
    kv_bytes_per_token: int = 0
    files: tuple[str, ...] = ()

    @property
    def quantisation(self) -> str:
        """What its name says of the precision, `Q4_K_M` for example; empty when nothing."""
        found = _QUANTISATION.findall(self.name.removesuffix(".gguf"))
        return str(found[-1]).upper() if found else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The build chosen, the memory it needs (0 when unknown), and a sentence that says why."""

    build: Build
    needed_bytes: int
    fits: bool
    why: str


def needed_bytes(build: Build, context_size: int = CONTEXT_TOKENS) -> int:
    """The memory of a loaded build with a cache for so many tokens; 0 when its size is unknown."""
    if not build.size_bytes:
        return 0
    per_token = build.kv_bytes_per_token or guessed_kv_bytes(build.size_bytes)
    return int((build.size_bytes + per_token * context_size) * HEADROOM)


def guessed_kv_bytes(size_bytes: int) -> int:
    """Guess what a token takes in the attention cache of a model that weighs `size_bytes`."""
    return int(_CACHE_BYTES_AT_1_GB * (size_bytes / 1e9) ** _CACHE_GROWTH)


def choose_build(
    builds: Sequence[Build],
    *,
    free_bytes: int,
    context_size: int = CONTEXT_TOKENS,
    asked: str = "",
    where: str = "",
) -> Choice:
    """Choose one of `builds`, which are not none; the first is what their maker would choose.

    `free_bytes` is the free memory, 0 when unknown, and `where` says which memory that is where it
    is not the machine's: "on" some GPU. `asked` names a build or a quantisation and
    wins over everything; it must be among them (see `named`). Weights of 16 bits and more are
    only taken where there is no smaller build: they answer no better than those of 8 bits.
    """
    if asked:
        build = named(asked, builds)
        assert build is not None, "the caller looks first"
        needed = needed_bytes(build, context_size)
        fits = not free_bytes or needed <= free_bytes
        return Choice(build=build, needed_bytes=needed, fits=fits, why="it was asked for")
    first = builds[0]
    if len(builds) == 1:
        return _only(first, free_bytes, context_size, where)
    sized = [build for build in builds if build.size_bytes]
    useful = [build for build in sized if build.quantisation not in _UNQUANTISED] or sized
    if not useful or not free_bytes:
        what = "the free memory" if useful else "what its builds weigh"
        return Choice(
            build=first, needed_bytes=needed_bytes(first, context_size), fits=True,
            why=f"it is the one its gallery prefers; {what} is not known",
        )  # fmt: skip
    ordered = sorted(useful, key=lambda build: build.size_bytes, reverse=True)
    fitting = [build for build in ordered if needed_bytes(build, context_size) <= free_bytes]
    build = fitting[0] if fitting else ordered[-1]
    needed = needed_bytes(build, context_size)
    sizes = _needs(needed, context_size, free_bytes, where)
    if len(ordered) == 1:
        verdict = "fits" if fitting else "may not fit"
        why = f"it {verdict}, and weights of 16 bits answer no better: {sizes}"
    elif fitting:
        why = f"it is the largest of {len(ordered)} builds that fits: {sizes}"
    else:
        why = f"none of {len(ordered)} builds fits, and it is the smallest: {sizes}"
    return Choice(build=build, needed_bytes=needed, fits=bool(fitting), why=why)


def _only(build: Build, free_bytes: int, context_size: int, where: str) -> Choice:
    needed = needed_bytes(build, context_size)
    if not needed or not free_bytes:
        return Choice(build=build, needed_bytes=needed, fits=True, why="it is the only build")
    fits = needed <= free_bytes
    verdict = "it is the only build" if fits else "it is the only build, and may not fit"
    return Choice(
        build=build, needed_bytes=needed, fits=fits,
        why=f"{verdict}: {_needs(needed, context_size, free_bytes, where)}",
    )  # fmt: skip


def named(asked: str, builds: Sequence[Build]) -> Build | None:
    """The build that `asked` names, by its name, one of its files or its quantisation."""
    wanted = asked.lower()
    for build in builds:
        if wanted in {build.name.lower(), *(file.lower() for file in build.files)}:
            return build
    return next((build for build in builds if build.quantisation.lower() == wanted), None)


def builds_of(files: Iterable[tuple[str, int]]) -> tuple[Build, ...]:
    """The GGUF builds among the (path, size in bytes) of a repository's files.

    Parts of one build count together; projectors and calibration data are no builds. In the order
    of their sizes, the middle of the field (4 bits) first, as their maker would recommend.
    """
    grouped: dict[str, list[tuple[str, int]]] = {}
    for path, size_bytes in sorted(files):
        base = path.rpartition("/")[2]
        if not base.lower().endswith(".gguf") or any(word in base.lower() for word in _NO_MODEL):
            continue
        part = PART.match(path)
        name = part["stem"] + ".gguf" if part else path
        grouped.setdefault(name, []).append((path, size_bytes))
    builds = [
        Build(
            name=name,
            size_bytes=sum(size for _, size in parts) if all(size for _, size in parts) else 0,
            files=tuple(path for path, _ in parts),
        )
        for name, parts in grouped.items()
    ]
    return tuple(
        sorted(builds, key=lambda build: (build.quantisation != "Q4_K_M", build.size_bytes))
    )


def _needs(needed: int, context_size: int, free_bytes: int, where: str) -> str:
    needs = f"it needs {size_text(needed)} with {context_size} tokens of context"
    return f"{needs}, {size_text(free_bytes)} are free{f' {where}' if where else ''}"


def size_text(size_bytes: int) -> str:
    """A size for people."""
    return f"{size_bytes / 1e9:.1f} GB" if size_bytes >= 1e9 else f"{size_bytes / 1e6:.0f} MB"  # noqa: PLR2004
