"""Several galleries as one: where they come from, what is kept of them, and when one cannot be had."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from localai.domain.errors import FetchFailed, InvalidRequest, SettingInvalid, Unsupported
from localai.domain.source_errors import EntryNotFound, GalleryFailed
from localai.engines.manifest import Manifest
from localai.gallery.cache import Cache
from localai.gallery.entry import Entry
from localai.gallery.galleries import EXPIRY_S, RETRY_AFTER_S, Galleries, Surroundings
from localai.gallery.places import LOCALAI_URL, PACKAGE, Gallery, galleries_of, web_address
from localai.gallery.search import search
from tests.clock import Clock
from tests.gallery.localai_gallery import write_gallery

GB = 1_000_000_000
WEB = "https://models.example.org/index.yaml"


class Web:
    """Pages by address, with what was asked for."""

    def __init__(self, pages: Mapping[str, bytes]) -> None:
        self.pages = dict(pages)
        self.asked: list[str] = []

    async def fetch(self, address: str) -> bytes:
        self.asked.append(address)
        if address not in self.pages:
            raise FetchFailed(address, "answered with status 404")
        return self.pages[address]


def galleries(
    *places: Gallery, folder: Path | None = None, web: Web | None = None, clock: Clock | None = None,
    free_bytes: int = 8 * GB,
) -> Galleries:  # fmt: skip
    known = {name for entry in Manifest().entries() for name in (entry.name, *entry.aliases)}
    around = Surroundings(
        fetch=web.fetch if web else None, free_bytes=lambda: free_bytes,
        runs=lambda name: name in known, clock=clock or Clock(time.time()),
    )  # fmt: skip
    return Galleries(places, Cache(folder), around)


@pytest.fixture
def local(tmp_path: Path) -> Gallery:
    folder = tmp_path / "gallery"
    return Gallery("mine", write_gallery(folder, folder.as_uri()).as_uri())


def test_a_name_means_the_first_gallery_that_has_it(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.yaml").write_text(
            f"- {{name: m, description: {name}}}\n- {{name: {name}}}\n"
        )
    both = galleries(
        Gallery("one", str(tmp_path / "one.yaml")), Gallery("two", str(tmp_path / "two.yaml"))
    )

    async def look() -> None:
        assert (await both.find("M")).description == "one"
        assert (await both.find("two@m")).description == "two"
        assert (await both.find("two")).gallery == "two"
        with pytest.raises(EntryNotFound) as caught:
            await both.find("tow")
        assert caught.value.fields["near"] == ["two"]

    asyncio.run(look())


@pytest.mark.parametrize("name", ["tiny-chat", "tiny-jinja", "tiny:templates", "tiny-template-files", "TINY-capitals", "maker/tiny", "tiny-inline", "tiny-inline-text", "tiny-unnamed-model", "tiny-eyes", "tiny-vectors", "tiny-order", "tiny-ears", "tiny-voice", "tiny-no-checksum"])  # fmt: skip
def test_entries_of_a_gallery_on_this_machine_are_planned(local: Gallery, name: str) -> None:
    async def plan() -> None:
        here = galleries(local)
        entry = await here.find(name)
        found = await here.plan(entry, {"context_size": 128})
        config = yaml.safe_load(found.model_yaml)
        assert config["name"] == entry.name
        assert config["context_size"] == 128
        assert config["parameters"]["model"] in {file.filename for file in found.files}
        assert found.entry_id == f"mine@{entry.name}"
        assert len(found.templates) == (name == "tiny-template-files")

    asyncio.run(plan())


def test_the_build_that_fits_is_planned_under_the_name_that_was_asked_for(local: Gallery) -> None:
    async def plan() -> None:
        entry = await galleries(local).find("sizes")
        large = await galleries(local, free_bytes=64 * GB).plan(entry)
        small = await galleries(local, free_bytes=4 * GB).plan(entry)
        told = await galleries(local, free_bytes=64 * GB).plan(entry, variant="Q4_K_M")
        assert (large.name, small.name) == ("sizes", "sizes")
        assert large.files[0].filename == "tiny-Q8_0.gguf"
        assert small.files[0].filename == told.files[0].filename == "tiny-Q4_K_M.gguf"
        assert "3.0 GB): it is the largest of 2 builds that fits" in large.why
        assert told.why.endswith("it was asked for.")

    asyncio.run(plan())


def test_builds_whose_gallery_says_no_size_are_measured_where_they_lie(tmp_path: Path) -> None:
    path = tmp_path / "index.yaml"
    path.write_text(
        "- {name: m, variants: [{model: m-q8}], files: [{uri: 'https://x/m-Q4_0.gguf'}]}\n"
        "- {name: m-q8, files: [{uri: 'https://x/m-Q8_0.gguf'}]}\n"
    )
    sizes = {"m": GB, "m-q8": 2 * GB}

    async def measure(entry: Entry) -> int:
        return sizes[entry.name]

    async def plan(free_bytes: int) -> str:
        around = Surroundings(
            fetch=None, free_bytes=lambda: free_bytes, runs=lambda _: True, measure=measure
        )
        here = Galleries((Gallery("mine", str(path)),), Cache(None), around)
        return (await here.plan(await here.find("m"))).files[0].filename

    assert asyncio.run(plan(64 * GB)) == "m-Q8_0.gguf"
    assert asyncio.run(plan(3 * GB)) == "m-Q4_0.gguf"


def test_a_model_without_an_engine_here_is_refused_before_anything_is_downloaded(
    local: Gallery,
) -> None:
    async def plan() -> None:
        here = galleries(local)
        with pytest.raises(Unsupported, match="stablediffusion-ggml"):
            await here.plan(await here.find("painter"))

    asyncio.run(plan())


def test_a_model_that_comes_as_an_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "index.yaml"
    path.write_text("- {name: v, files: [{uri: 'https://x/voice.tar.gz'}]}\n")
    here = galleries(Gallery("mine", str(path)))
    entry = asyncio.run(here.find("v"))
    assert not here.runs(entry)
    with pytest.raises(Unsupported, match=r"voice\.tar\.gz"):
        asyncio.run(here.plan(entry))


def test_a_gallery_behind_the_one_that_knows_a_name_is_not_asked() -> None:
    web = Web({})
    here = galleries(Gallery("builtin", PACKAGE), Gallery("web", WEB), web=web)
    for name in ("qwen3-8b", "builtin@whisper-base"):
        asyncio.run(here.find(name))
        assert asyncio.run(here.knows(name))
    assert web.asked == []
    assert not asyncio.run(here.knows("nobody-knows-this"))
    assert web.asked == [WEB]


def test_an_index_is_fetched_once_and_kept_for_later(tmp_path: Path) -> None:
    web, clock = Web({WEB: b"- {name: m}\n"}), Clock(time.time())
    place = Gallery("web", WEB)

    async def look() -> None:
        for _ in range(2):  # as two processes one after the other
            here = galleries(place, folder=tmp_path, web=web, clock=clock)
            assert (await here.find("m")).entry_id == "web@m"
        assert web.asked == [WEB]
        clock.now_s += EXPIRY_S
        web.pages[WEB] = b"- {name: n}\n"
        assert [entry.name for entry in (await here.listing()).entries] == ["n"]
        await here.listing(refresh=True)
        assert len(web.asked) == 3

    asyncio.run(look())


def test_without_a_network_the_kept_index_serves_and_that_is_said(tmp_path: Path) -> None:
    clock = Clock(time.time())
    place = Gallery("web", WEB)

    async def look() -> None:
        await galleries(
            place, folder=tmp_path, web=Web({WEB: b"- {name: m}\n"}), clock=clock
        ).listing()
        clock.now_s += 30 * 3600
        offline = galleries(place, folder=tmp_path, clock=clock)
        listing = await offline.listing()
        assert [entry.name for entry in listing.entries] == ["m"]
        assert "offline" in listing.problems[0]
        assert "30 hours ago is used" in listing.problems[0]

    asyncio.run(look())


def test_a_gallery_that_cannot_be_had_does_not_take_the_others_along(tmp_path: Path) -> None:
    web, clock = Web({}), Clock(time.time())
    here = galleries(Gallery("gone", WEB), Gallery("builtin", PACKAGE), web=web, clock=clock)

    async def look() -> None:
        listing = await here.listing()
        assert len(listing.entries) > 40
        assert listing.problems == ("The gallery 'gone' answered with status 404.",)
        await here.listing()
        assert len(web.asked) == 1  # not again and again
        clock.now_s += RETRY_AFTER_S
        web.pages[WEB] = b"- {name: back}\n"
        assert (await here.find("back")).gallery == "gone"
        with pytest.raises(EntryNotFound, match="no such thing") as caught:
            await here.find("no such thing")
        assert "models search" in caught.value.hint

    asyncio.run(look())


@pytest.mark.parametrize("page", [b"<!doctype html><p>Not found", b"name: m", b"- [", b"\x00\x01"])
def test_what_is_no_index_never_replaces_a_kept_one(tmp_path: Path, page: bytes) -> None:
    web, clock = Web({WEB: b"- {name: m}\n"}), Clock(time.time())

    async def look() -> None:
        here = galleries(Gallery("web", WEB), folder=tmp_path, web=web, clock=clock)
        await here.listing()
        web.pages[WEB] = page
        clock.now_s += EXPIRY_S
        listing = await here.listing()
        assert [entry.name for entry in listing.entries] == ["m"]
        assert "is no index" in listing.problems[0]
        assert (await galleries(Gallery("web", WEB), folder=tmp_path).find("m")).name == "m"

    asyncio.run(look())


def test_a_kept_file_that_is_damaged_counts_as_absent(tmp_path: Path) -> None:
    def here() -> Galleries:
        return galleries(Gallery("web", WEB), folder=tmp_path, web=Web({WEB: b"- {name: m}\n"}))

    asyncio.run(here().listing())
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes()[:20])
    assert asyncio.run(here().find("m")).name == "m"


def test_a_changed_file_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "index.yaml"
    here = galleries(Gallery("mine", str(path)), folder=tmp_path / "kept")

    def names(told: list[str]) -> list[str]:
        listing = asyncio.run(here.listing())
        told += listing.problems
        return [entry.name for entry in listing.entries]

    told: list[str] = []
    path.write_text("- {name: a}\n")
    assert names(told) == ["a"]
    path.write_text("- {name: bb}\n")
    assert names(told) == ["bb"]
    assert told == []
    path.unlink()
    assert names(told) == ["bb"]
    assert "cannot be read" in told[0]


def test_a_base_configuration_is_fetched_and_kept(tmp_path: Path) -> None:
    own, foreign = "http://models.example.org:81/base.yaml", "https://models.example.org/base.yaml"
    index = f"- {{name: own, url: '{foreign}'}}\n- {{name: other, url: '{own}'}}\n- {{name: none, url: 'https://gone.example.org/x'}}\n"
    web = Web(
        {
            WEB: index.encode(),
            own: b"config_file: 'backend: piper'",
            foreign: b"config_file: 'f16: true'",
        }
    )
    here = galleries(Gallery("web", WEB), folder=tmp_path, web=web)

    async def look() -> None:
        assert "f16: true" in (await here.plan(await here.find("own"))).model_yaml
        assert (await here.plan(await here.find("other"))).backend == "piper"
        assert web.asked[1:] == [foreign, own]
        web.pages.clear()
        assert (await here.plan(await here.find("other"))).backend == "piper"  # kept
        with pytest.raises(GalleryFailed, match=r"'none'.*status 404"):
            await here.plan(await here.find("none"))

    asyncio.run(look())


@pytest.mark.parametrize("url", ["file:///etc/passwd", "/etc/passwd", "../secret.yaml"])
def test_only_a_gallery_on_this_machine_may_name_its_files(url: str) -> None:
    here = galleries(Gallery("web", WEB), web=Web({WEB: f"- {{name: m, url: '{url}'}}".encode()}))

    async def look() -> None:
        with pytest.raises(InvalidRequest, match="on this machine"):
            await here.plan(await here.find("m"))
        with pytest.raises(InvalidRequest, match="on this machine"):
            await here.plan(Entry(name="inline", base_url=url))

    asyncio.run(look())


def test_the_setting() -> None:
    assert [one.name for one in galleries_of("")] == ["builtin", "localai"]
    found = galleries_of(
        '[{"name": "localai", "url": "github:mudler/LocalAI/gallery/index.yaml@master"}]'
    )
    assert [one.name for one in found] == ["localai", "builtin"]
    for bad in ("[", "{}", '[{"name": "a"}]', '[{"name": "a b", "url": "https://x"}]',
                '[{"name": "a", "url": "ftp://x"}]', '[{"name": "a", "url": "/x"}, {"name": "A", "url": "/y"}]'):  # fmt: skip
        with pytest.raises(SettingInvalid):
            galleries_of(bad)


def test_addresses() -> None:
    raw = "https://raw.githubusercontent.com/mudler/LocalAI/master/gallery/index.yaml"
    assert web_address(LOCALAI_URL) == raw
    assert (
        web_address("github:a/b/c/d.yaml") == "https://raw.githubusercontent.com/a/b/main/c/d.yaml"
    )
    assert web_address("file:///x") == web_address("x.yaml") == ""
    for bad in ("github:a/b", "ftp://x/y", "https://"):
        with pytest.raises(SettingInvalid):
            web_address(bad)


def test_search_finds_every_word_and_puts_names_first() -> None:
    entries = [
        Entry(name="other", description="like qwen", tags=("chat",)),
        Entry(name="qwen-code", tags=("code", "chat")),
        Entry(name="my-qwen", tags=("chat",)),
        Entry(name="qwen", gallery="g"),
    ]
    assert [one.name for one in search(entries, "qwen")] == [
        "qwen",
        "qwen-code",
        "my-qwen",
        "other",
    ]
    assert [one.name for one in search(entries, "Chat qwen")] == ["qwen-code", "my-qwen", "other"]
    assert [one.name for one in search(entries, "g@qwen")] == ["qwen"]
    assert search(entries, "qwen nothing") == []
    assert search(entries, " ") == entries
