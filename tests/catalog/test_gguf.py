"""Weights files: facts of real ones, refusals of damaged ones, and no surprise in between."""

import struct
import time
from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localai.catalog.gguf import looks_like, read_gguf
from localai.catalog.gguf_types import FILE_TYPES, POOLING_TYPES, TENSOR_TYPES
from localai.domain.errors import ModelFileInvalid
from tests.gguf_maker import CHATML, Shape, make_scripted, make_tiny_llama

SMALL = Shape(layers=1, embedding=64, heads=1, kv_heads=1, feed_forward=64)
STRING, ARRAY, UINT32, UINT64, BOOL = 8, 9, 4, 10, 7


def text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def pair(key: str, kind: int, value: bytes) -> bytes:
    return text(key) + struct.pack("<I", kind) + value


def tensor(
    name: str = "w", shape: tuple[int, ...] = (32,), kind: int = 0, offset: int = 0
) -> bytes:
    dims = struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
    return text(name) + dims + struct.pack("<IQ", kind, offset)


ARCHITECTURE = pair("general.architecture", STRING, text("llama"))


def file_with(
    *pairs: bytes,
    tensors: tuple[bytes, ...] = (),
    version: int = 3,
    data: int = 128,
    keys: int | None = None,
) -> bytes:
    """Give a hand-made GGUF file with `data` bytes of weights."""
    count = len(pairs) if keys is None else keys
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), count)
    body = head + b"".join(pairs) + b"".join(tensors)
    return body + bytes(-len(body) % 32 + data)


@pytest.fixture
def written(tmp_path: Path) -> Callable[[bytes], Path]:
    def write(data: bytes) -> Path:
        path = tmp_path / "model.gguf"
        path.write_bytes(data)
        return path

    return write


def refusal(path: Path) -> str:
    with pytest.raises(ModelFileInvalid) as caught:
        read_gguf(path)
    assert caught.value.hint, "an error says what to do next"
    assert caught.value.fields["path"] == str(path)
    return caught.value.message


def test_facts_of_a_model(tmp_path: Path) -> None:
    shape = Shape(layers=3, embedding=256, heads=4, kv_heads=2, feed_forward=128)
    path = make_tiny_llama(tmp_path / "m.gguf", shape=shape, context_length=4096, name="Tiny")
    facts = read_gguf(path)
    assert (facts.kind, facts.architecture, facts.name) == ("model", "llama", "Tiny")
    assert (facts.context_length, facts.embedding_length, facts.block_count) == (4096, 256, 3)
    assert (facts.heads, facts.kv_heads) == (4, (2, 2, 2))
    assert (facts.key_length, facts.value_length) == (64, 64)
    assert (facts.vocabulary_size, facts.tokenizer_model) == (320, "gpt2")
    assert (facts.has_chat_template, facts.chat_template) == (True, CHATML)
    assert (facts.file_type, facts.pooling, facts.has_fill_in_middle) == ("F32", None, False)
    per_layer = 256 * 256 * 2 + 128 * 256 * 2 + 3 * 128 * 256 + 2 * 256
    assert facts.parameters == 2 * 320 * 256 + 256 + 3 * per_layer
    assert facts.size_bytes == path.stat().st_size
    assert facts.kv_bytes(1000) == 1000 * 3 * 2 * (64 + 64) * 2


def test_absent_facts_are_zero_or_empty(written: Callable[[bytes], Path]) -> None:
    facts = read_gguf(written(file_with(ARCHITECTURE, tensors=(tensor(),))))
    assert (facts.context_length, facts.heads, facts.kv_heads, facts.name) == (0, 0, (), "")
    assert facts.chat_template is None
    assert facts.kv_bytes(4096) == 0


def test_a_value_of_the_wrong_type_reads_as_absent(written: Callable[[bytes], Path]) -> None:
    wrong = pair("llama.context_length", STRING, text("many"))
    assert read_gguf(written(file_with(ARCHITECTURE, wrong))).context_length == 0


def test_cache_heads_may_differ_between_layers(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(3)
    writer.add_embedding_length(64)
    writer.add_head_count(4)
    writer.add_head_count_kv([4, 0, 2])
    finish(writer)
    facts = read_gguf(path)
    assert facts.kv_heads == (4, 0, 2)
    assert facts.kv_bytes(10) == 10 * 6 * (16 + 16) * 2


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        ("<|fim_prefix|>", True),
        ("<\uff5cfim\u2581begin\uff5c>", True),
        ("fim_prefix", False),
        ("<|fim_prefix|>x", False),
    ],
)
def test_code_models_are_told_by_their_tokens(
    tmp_path: Path, token: str, *, expected: bool
) -> None:
    path = tmp_path / "m.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_token_list([*(f"word{index}" for index in range(200_000)), token])
    finish(writer)
    assert read_gguf(path).has_fill_in_middle is expected


def test_a_large_vocabulary_is_read_quickly_and_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_token_list([f"token{index:06d}" for index in range(150_000)])
    writer.add_token_merges([f"tok en{index}" for index in range(150_000)])
    writer.add_token_scores([0.0] * 150_000)
    finish(writer)
    times = []
    for _ in range(5):
        began = time.perf_counter()
        facts = read_gguf(path)
        times.append(time.perf_counter() - began)
    assert facts.vocabulary_size == 150_000
    assert not any(key.startswith("tokenizer.ggml.") for key in facts.values)
    assert min(times) < 0.5  # about 0.04 s on a quiet machine


def finish(writer: gguf.GGUFWriter) -> None:
    writer.add_tensor("w", np.zeros((32, 32), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


# ---- files that are something else


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "empty"),
        (b"lmgg" + bytes(60), "old GGML format"),
        (b"tjgg" + bytes(60), "old GGML format"),
        (struct.pack("<Q", 50) + b'{"__metadata__":{}}', "safetensors"),
        (b"<!DOCTYPE html><html>404</html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        (b"PK\x03\x04", "begins with b'PK"),
    ],
)
def test_other_files_are_named(written: Callable[[bytes], Path], data: bytes, says: str) -> None:
    assert says in refusal(written(data))


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    assert "does not exist" in refusal(tmp_path / "absent.gguf")
    assert "is a folder" in refusal(tmp_path)


def test_formats_are_told_by_their_first_bytes(written: Callable[[bytes], Path]) -> None:
    assert looks_like(written(file_with(ARCHITECTURE))) == "gguf"
    assert looks_like(written(b"tjgg" + bytes(9))) == "ggml"
    assert looks_like(written(struct.pack("<Q", 2) + b'{"a":1}')) == "safetensors"
    assert looks_like(written(b"hello")) is None
    assert looks_like(Path("/nonexistent")) is None


@pytest.mark.parametrize(
    ("version", "says"), [(1, "version 1"), (4, "version 4"), (3 << 24, "big-endian")]
)
def test_other_versions_are_refused(
    written: Callable[[bytes], Path], version: int, says: str
) -> None:
    assert says in refusal(written(file_with(ARCHITECTURE, version=version)))


def test_version_two_is_read(written: Callable[[bytes], Path]) -> None:
    assert read_gguf(written(file_with(ARCHITECTURE, version=2))).architecture == "llama"


# ---- damaged headers

HUGE = 1 << 62
LIST = struct.pack("<I", STRING)


@pytest.mark.parametrize(
    ("pairs", "says"),
    [
        ((), "does not say its architecture"),
        ((ARCHITECTURE, ARCHITECTURE), "'general.architecture' is there twice"),
        ((struct.pack("<Q", HUGE),), "the limit is 65535"),
        ((pair("a", 77, b""),), "unknown value type 77"),
        ((pair("a", STRING, struct.pack("<Q", HUGE)),), "the limit is"),
        ((pair("a", STRING, struct.pack("<Q", 100_000)),), "but the file ends"),
        ((pair("a", BOOL, b"\x02"),), "a yes-or-no value is 0 or 1"),
        ((pair("a", 6, struct.pack("<f", float("nan"))),), "is nan, no number"),
        ((pair("a", ARRAY, LIST + struct.pack("<Q", HUGE)),), "the limit is 16000000"),
        ((pair("a", ARRAY, LIST + struct.pack("<Q", 10_000_000)),), "but the file ends"),
        ((pair("a", ARRAY, LIST + struct.pack("<QQ", 2, 100_000)),), "ends after the file does"),
        ((pair("a", ARRAY, struct.pack("<IQ", ARRAY, 1)),), "holds lists"),
        ((pair("a", ARRAY, struct.pack("<IQ", 99, 1)),), "unknown value type 99"),
        ((pair("a", ARRAY, struct.pack("<IQ", UINT64, 9_000_000)),), "but the file ends"),
        ((pair("general.alignment", UINT32, struct.pack("<I", 24)),), "a power of two"),
        ((pair("general.alignment", UINT32, struct.pack("<I", 0)),), "a power of two"),
        ((pair("general.alignment", STRING, text("32")),), "a power of two"),
    ],
)
def test_damaged_keys_are_refused(
    written: Callable[[bytes], Path], pairs: tuple[bytes, ...], says: str
) -> None:
    assert says in refusal(written(file_with(*pairs)))


@pytest.mark.parametrize(
    ("tensors", "says"),
    [
        ((tensor(), tensor()), "the tensor 'w' is there twice"),
        ((tensor("n" * 64),), "the limit is 63"),
        ((tensor(shape=()),), "has 0 dimensions"),
        ((tensor(shape=(1,) * 5),), "has 5 dimensions"),
        ((tensor(shape=(32, 0)),), "impossible shape [32, 0]"),
        ((tensor(shape=(1 << 40, 1 << 40)),), "impossible shape"),
        ((tensor(kind=99),), "unknown type 99"),
        ((tensor(kind=4),), "retired type 4"),
        ((tensor(shape=(48,), kind=8),), "Q8_0 needs a multiple of 32"),
        ((tensor(offset=16),), "no multiple of 32"),
        ((tensor(offset=1 << 63),), "but the file ends"),
        ((tensor(shape=(33,)),), "but the file ends"),
        ((tensor(), tensor("v", offset=128)), "the tensor 'v' ends at byte"),
    ],
)
def test_damaged_tensors_are_refused(
    written: Callable[[bytes], Path], tensors: tuple[bytes, ...], says: str
) -> None:
    assert says in refusal(written(file_with(ARCHITECTURE, tensors=tensors)))


@pytest.mark.parametrize(
    ("key", "value"),
    [("block_count", 0), ("block_count", 513), ("context_length", 0), ("context_length", 1 << 31)],
)
def test_sizes_that_abort_the_engine_are_refused(
    written: Callable[[bytes], Path], key: str, value: int
) -> None:
    size = pair(f"llama.{key}", UINT32, struct.pack("<I", value))
    assert f"'llama.{key}' is {value}" in refusal(written(file_with(ARCHITECTURE, size)))
    of_adapter = (ARCHITECTURE, size, pair("general.type", STRING, text("adapter")))
    assert read_gguf(written(file_with(*of_adapter))).kind == "adapter"


def test_counts_are_bounded(written: Callable[[bytes], Path]) -> None:
    assert "keys; the limit is" in refusal(written(file_with(ARCHITECTURE, keys=HUGE)))
    assert "the key '' is empty" in refusal(written(file_with(ARCHITECTURE, keys=60_000)))
    many = b"GGUF" + struct.pack("<IQQ", 3, HUGE, 0)
    assert "tensors; the limit is" in refusal(written(many))


def test_a_tensor_may_end_where_the_file_ends(written: Callable[[bytes], Path]) -> None:
    exact = file_with(ARCHITECTURE, tensors=(tensor(shape=(32,)),), data=128)
    assert read_gguf(written(exact)).parameters == 32
    assert "ends at byte" in refusal(written(exact[:-1]))


def test_own_alignment_moves_the_data(written: Callable[[bytes], Path]) -> None:
    wide = pair("general.alignment", UINT32, struct.pack("<I", 4096))
    header = file_with(ARCHITECTURE, wide, tensors=(tensor(),), data=0)
    assert "ends at byte 4224" in refusal(written(header + bytes(128)))
    assert read_gguf(written(header.ljust(4224, b"\0"))).parameters == 32


# ---- models in several parts


def part(number: int, total: int, tensors: tuple[bytes, ...] = ()) -> bytes:
    count = pair("split.count", 2, struct.pack("<H", total))
    announced = pair("split.tensors.count", 5, struct.pack("<i", total))
    first = (ARCHITECTURE,) if number == 1 else ()
    return file_with(*first, count, announced, tensors=tensors)


def make_parts(folder: Path, total: int) -> list[Path]:
    paths = [folder / f"m-{number:05d}-of-{total:05d}.gguf" for number in range(1, total + 1)]
    for number, path in enumerate(paths, 1):
        path.write_bytes(part(number, total, (tensor(f"w{number}"),)))
    return paths


def test_parts_count_together(tmp_path: Path) -> None:
    paths = make_parts(tmp_path, 3)
    facts = read_gguf(paths[0])
    assert facts.parts == tuple(paths)
    assert facts.parameters == 3 * 32
    assert facts.size_bytes == sum(path.stat().st_size for path in paths)


def test_a_missing_part_is_named(tmp_path: Path) -> None:
    paths = make_parts(tmp_path, 3)
    paths[1].unlink()
    assert "1 of the 3 parts of this model are missing: m-00002-of-00003" in refusal(paths[0])


def test_a_damaged_part_is_named(tmp_path: Path) -> None:
    paths = make_parts(tmp_path, 3)
    paths[2].write_bytes(paths[2].read_bytes()[:60])
    with pytest.raises(ModelFileInvalid, match="m-00003-of-00003"):
        read_gguf(paths[0])


def test_only_the_first_part_is_a_model(tmp_path: Path) -> None:
    assert "is not the first part" in refusal(make_parts(tmp_path, 2)[1])


def test_parts_of_different_models_are_refused(tmp_path: Path) -> None:
    paths = make_parts(tmp_path, 2)
    paths[1].write_bytes(part(2, 2, (tensor("w2"), tensor("w3"))))
    assert "hold 3 tensors; the first announces 2" in refusal(paths[0])
    renamed = paths[0].rename(tmp_path / "m-00001-of-00001.gguf")
    assert "in 2 parts, but its name says 1" in refusal(renamed)


# ---- anything at all


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fuzz")
    return make_tiny_llama(folder / "whole.gguf", shape=SMALL)


@pytest.fixture(scope="module")
def header_end(whole: Path) -> int:
    reader = gguf.GGUFReader(whole)
    return int(reader.data_offset)


def read_or_refuse(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    began = time.perf_counter()
    try:
        read_gguf(path)
    except ModelFileInvalid as error:
        assert error.message
    assert time.perf_counter() - began < 1.0


@settings(max_examples=150, deadline=None)
@given(share=st.floats(0, 1, exclude_max=True))
def test_every_truncation_is_refused(whole: Path, share: float) -> None:
    data = whole.read_bytes()
    cut = whole.with_name("cut.gguf")
    cut.write_bytes(data[: int(len(data) * share)])
    assert refusal(cut)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_flipped_bytes_never_surprise(whole: Path, header_end: int, data: st.DataObject) -> None:
    content = bytearray(whole.read_bytes())
    places = st.lists(st.integers(0, header_end - 1), min_size=1, max_size=8)
    for place in data.draw(places):
        content[place] = data.draw(st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]) | st.integers(0, 255))
    read_or_refuse(whole.with_name("flipped.gguf"), bytes(content))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400))
def test_noise_after_a_good_start_never_surprises(whole: Path, noise: bytes) -> None:
    head = b"GGUF" + struct.pack("<IQQ", 3, 2, 3)
    read_or_refuse(whole.with_name("noise.gguf"), head + noise)


# ---- tables


def test_tables_agree_with_the_format() -> None:
    activations = {"Q8_1", "Q8_K"}  # never stored in files; sizes differ between libraries
    for kind, (block, size_bytes) in gguf.GGML_QUANT_SIZES.items():
        known = TENSOR_TYPES[int(kind)]
        if kind.name not in activations:
            assert (known.name, known.block, known.size_bytes) == (kind.name, block, size_bytes)
    for file_type in gguf.LlamaFileType:
        if file_type.name != "GUESSED":
            expected = file_type.name.removeprefix("ALL_").removeprefix("MOSTLY_")
            assert FILE_TYPES[int(file_type)] == expected
    assert {int(kind): kind.name.lower() for kind in gguf.PoolingType} == POOLING_TYPES


def test_what_the_maker_writes_is_read(tmp_path: Path) -> None:
    facts = read_gguf(make_scripted(tmp_path / "s.gguf", ["Hello", " you."]))
    assert facts.block_count == 1
    assert facts.has_chat_template
