"""The build that is chosen: the largest that fits, unless told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localai.gallery.fit import Build, builds_of, choose_build, guessed_kv_bytes, needed_bytes

GB = 1_000_000_000
BUILDS = [
    Build(name="m-Q4_K_M.gguf", size_bytes=5 * GB),
    Build(name="m-Q8_0.gguf", size_bytes=9 * GB),
    Build(name="m-F16.gguf", size_bytes=16 * GB),
    Build(name="m-IQ2_M.gguf", size_bytes=3 * GB),
]


@pytest.mark.parametrize(
    ("free_gb", "chosen"),
    [(100, "m-Q8_0.gguf"), (14, "m-Q8_0.gguf"), (9, "m-Q4_K_M.gguf"), (6, "m-IQ2_M.gguf")],
)
def test_the_largest_that_fits(free_gb: int, chosen: str) -> None:
    choice = choose_build(BUILDS, free_bytes=free_gb * GB)
    assert choice.build.name == chosen
    assert choice.fits
    assert f"{free_gb}.0 GB are free" in choice.why


def test_where_none_fits_it_is_the_smallest_and_that_is_said() -> None:
    choice = choose_build(BUILDS, free_bytes=GB)
    assert choice.build.name == "m-IQ2_M.gguf"
    assert not choice.fits
    assert "none of 3 builds fits" in choice.why


@pytest.mark.parametrize("asked", ["m-F16.gguf", "f16", "F16"])
def test_what_is_asked_for_wins(asked: str) -> None:
    choice = choose_build(BUILDS, free_bytes=GB, asked=asked)
    assert (choice.build.name, choice.fits, choice.why) == ("m-F16.gguf", False, "it was asked for")


def test_a_longer_context_needs_a_smaller_build() -> None:
    short = choose_build(BUILDS, free_bytes=14 * GB, context_size=2048)
    long = choose_build(BUILDS, free_bytes=14 * GB, context_size=32768)
    assert short.build.size_bytes > long.build.size_bytes


def test_without_sizes_or_memory_it_is_the_first() -> None:
    unknown = [Build(name="a-Q8_0"), Build(name="a-Q4_0")]
    assert choose_build(unknown, free_bytes=8 * GB).build.name == "a-Q8_0"
    assert choose_build(BUILDS, free_bytes=0).build.name == "m-Q4_K_M.gguf"


def test_only_weights_of_16_bits_are_better_than_nothing() -> None:
    assert choose_build([BUILDS[2]], free_bytes=100 * GB).build.name == "m-F16.gguf"
    two = [BUILDS[2], Build(name="m-BF16.gguf", size_bytes=17 * GB)]
    assert choose_build(two, free_bytes=100 * GB).build.name == "m-BF16.gguf"


def test_one_build_of_fewer_bits_is_better_than_one_of_16() -> None:
    choice = choose_build([BUILDS[0], BUILDS[2]], free_bytes=100 * GB)
    assert choice.build is BUILDS[0]
    assert "weights of 16 bits answer no better" in choice.why


def test_the_cache_that_its_maker_published_counts() -> None:
    # Qwen3 8B: 36 layers, 8 heads of 128, 16 bits, keys and values
    known = Build(name="a", size_bytes=5 * GB, kv_bytes_per_token=147_456)
    assert needed_bytes(known, 8192) == int((5 * GB + 147_456 * 8192) * 1.2)


@pytest.mark.parametrize(
    ("size_gb", "published"), [(0.1, 23_040), (0.64, 114_688), (5.0, 147_456), (19.8, 262_144)]
)
def test_a_guessed_cache_is_of_the_right_order(size_gb: float, published: int) -> None:
    assert 0.5 < guessed_kv_bytes(int(size_gb * GB)) / published < 2.0


def test_builds_of_a_repository() -> None:
    files = [
        ("README.md", 10),
        ("m-Q8_0.gguf", 9 * GB),
        ("mmproj-m-f16.gguf", GB),
        ("m.imatrix.gguf", GB),
        ("m-Q4_K_M.gguf", 5 * GB),
        ("BF16/m-BF16-00002-of-00002.gguf", 7 * GB),
        ("BF16/m-BF16-00001-of-00002.gguf", 9 * GB),
    ]
    found = builds_of(files)
    assert [build.name for build in found] == ["m-Q4_K_M.gguf", "m-Q8_0.gguf", "BF16/m-BF16.gguf"]
    assert found[2].size_bytes == 16 * GB
    assert found[2].files[0].endswith("00001-of-00002.gguf")
    assert [build.quantisation for build in found] == ["Q4_K_M", "Q8_0", "BF16"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Qwen3-0.6B.Q4_K_M.gguf", "Q4_K_M"),
        ("gpt-oss-20b-mxfp4.gguf", "MXFP4"),
        ("x-UD-Q4_K_XL.gguf", "UD-Q4_K_XL"),
        ("ggml-base-q5_1.bin", "Q5_1"),
        ("model.gguf", ""),
        ("q4you.gguf", ""),
    ],
)
def test_what_a_name_says_of_the_precision(name: str, said: str) -> None:
    assert Build(name=name.removesuffix(".bin")).quantisation == said


@given(
    st.lists(st.integers(1, 100 * GB), min_size=1, max_size=8),
    st.integers(1, 200 * GB),
    st.integers(1, 131_072),
)
def test_nothing_larger_would_have_fitted(sizes: list[int], free: int, context: int) -> None:
    builds = [Build(name=f"b{i}", size_bytes=size) for i, size in enumerate(sizes)]
    choice = choose_build(builds, free_bytes=free, context_size=context)
    for build in builds:
        if build.size_bytes > choice.build.size_bytes:
            assert needed_bytes(build, context) > free
    assert choice.fits == (needed_bytes(choice.build, context) <= free)
