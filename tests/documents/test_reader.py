"""Documents become text; those that cannot, or that are built to do harm, become a sentence."""

from __future__ import annotations

import asyncio
import io
import struct
from pathlib import Path

import pytest

from localai.documents import DocumentReader, Kind, Pages, ReaderLimits
from localai.domain.errors import DocumentUnreadable, TimedOut
from tests.pdf_maker import make_bomb, make_circle, make_form, make_locked, make_pdf, make_scan

BOMB_MB = 250
PAGE = """<!DOCTYPE html><html><head><title>No</title><style>p {color: red}</style></head>
<body><h1>Fish &amp; chips</h1><script>alert("no")</script><p>A  <b>long</b>
walk.<p>Two</p><table><tr><td>1</td><td>2</td></tr></table></body></html>"""


def read(
    data: bytes,
    kind: Kind = Kind.PDF,
    limits: ReaderLimits | None = None,
    *,
    most_characters: int = 1_000_000,
    sees_images: bool = False,
) -> str | Pages:
    return asyncio.run(
        DocumentReader(limits).read(
            io.BytesIO(data), kind, "It", most_characters=most_characters, sees_images=sees_images
        )
    )


def why(data: bytes, kind: Kind = Kind.PDF, limits: ReaderLimits | None = None, **more: int) -> str:
    with pytest.raises(DocumentUnreadable) as caught:
        read(data, kind, limits, **more)  # type: ignore[arg-type]
    return caught.value.sentence


def test_the_text_of_all_pages_comes_in_order() -> None:
    assert read(make_pdf(["one\ntwo", "", "three"])) == "one\ntwo\n\n\n\nthree"


def test_what_was_filled_into_a_form_is_read() -> None:
    assert read(make_form("Name:", "Ada")) == "Name:\nAda"


def test_a_real_file_is_read_where_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(make_pdf(["kept"]))

    async def run() -> str | Pages:
        reader = DocumentReader()
        with path.open("rb") as file:
            file.read(100)
            return await reader.read(file, Kind.PDF, "It", most_characters=100, sees_images=False)

    assert asyncio.run(run()) == "kept"


def test_pages_without_text_become_images_for_a_model_that_sees() -> None:
    scan = make_scan(2)
    pages = read(scan, sees_images=True)
    assert isinstance(pages, Pages)
    assert len(pages.images) == 2
    for image in pages.images:
        assert image.startswith(b"\x89PNG\r\n\x1a\n")
        width, height = struct.unpack(">II", image[16:24])
        assert (width, height) == (1187, 1536)
    assert "2 pages are images" in why(scan)
    few = ReaderLimits(most_images=1)
    assert "at most 1 are shown" in why(scan, limits=few, sees_images=True)


def test_what_is_not_sound_says_what_it_is() -> None:
    whole = make_pdf(["some text"])
    assert "damaged" in why(whole[:200])
    assert "damaged" in why(b"%PDF-1.7\n" + bytes(500))
    assert "is empty" in why(b"")
    assert "password" in why(make_locked())
    assert "has no text" in why(make_pdf([""]))
    two = ReaderLimits(most_pages=2)
    assert "has 3 pages; at most 2" in why(make_pdf(["a"] * 3), limits=two)
    assert "more than 20 characters" in why(make_pdf(["a" * 12] * 2), most_characters=20)
    assert "larger than 0.0001 MB" in why(whole, limits=ReaderLimits(most_bytes=100))


@pytest.mark.parametrize("kind", [Kind.PDF, Kind.HTML])
def test_every_beginning_of_a_document_is_survived(kind: Kind) -> None:
    whole = make_pdf(["some text"]) if kind is Kind.PDF else PAGE.encode()
    for end in range(1, len(whole), len(whole) // 6):
        try:
            read(whole[:end], kind)
        except DocumentUnreadable as error:
            assert error.message.startswith("It ")


def test_a_page_that_unpacks_to_gigabytes_fills_only_its_reader() -> None:
    bomb = make_bomb(BOMB_MB)
    assert len(bomb) < 100_000
    limits = ReaderLimits(memory_bytes=256 << 20)
    assert "more than 256 MiB of memory" in why(bomb, limits=limits)


def test_a_page_that_takes_for_ever_is_given_up() -> None:
    limits = ReaderLimits(seconds=1, memory_bytes=8 << 30)
    assert "longer than 1 s" in why(make_bomb(BOMB_MB), limits=limits)


def test_pages_that_contain_themselves_end() -> None:
    assert why(make_circle())


def test_a_web_page_is_what_a_browser_shows() -> None:
    assert read(PAGE.encode(), Kind.HTML) == "Fish & chips\nA long walk.\nTwo\n1\t2"
    assert read(b"<html><head><title>x</title><body>y", Kind.HTML) == "y", "without an end"
    latin = b'<html><meta charset="iso-8859-1"><p>caf\xe9'
    assert read(latin, Kind.HTML) == "caf\xe9"
    assert read(b"<p>caf\x82 \xe9", Kind.HTML) == "caf\u201a \xe9", "as browsers do without a word"
    assert "no text" in why(b"<html><script>x</script>", Kind.HTML)
    assert "more than 3 characters" in why(b"<p>four", Kind.HTML, most_characters=3)


def test_text_is_read_as_it_is() -> None:
    assert read(b"\xef\xbb\xbfa,b\r\n1,2\r\n", Kind.TEXT) == "a,b\n1,2\n"
    assert read("wide \u00fc".encode("utf-16"), Kind.TEXT) == "wide \u00fc"
    assert "UTF-8" in why(b"caf\xe9", Kind.TEXT)
    assert "UTF-8" in why(b"a\0b", Kind.TEXT)
    assert "no text" in why(b" \n ", Kind.TEXT)
    assert "more than 3 characters" in why(b"four", Kind.TEXT, most_characters=3)
    assert read("\u00fc\u00fc\u00fc".encode(), Kind.TEXT, most_characters=3) == "\u00fc" * 3


def test_what_was_read_before_is_remembered() -> None:
    limits = ReaderLimits(together=1, waiting_s=0.01, remembered_characters=25)
    first, second, long = make_pdf(["a" * 9]), make_pdf(["b" * 9]), make_pdf(["c" * 30])

    async def run() -> None:
        reader = DocumentReader(limits)

        async def text(data: bytes, most_characters: int = 100) -> str | Pages:
            return await reader.read(
                io.BytesIO(data), Kind.PDF, "It", most_characters=most_characters, sees_images=False
            )

        for data in (first, second, long):
            await text(data)
        async with reader._place():  # nothing can be read now
            assert await text(first) == "a" * 9
            assert await text(second) == "b" * 9
            with pytest.raises(DocumentUnreadable, match="more than 5 characters"):
                await text(first, 5)
            with pytest.raises(TimedOut):
                await text(long)
        await text(make_pdf(["d" * 9]))
        async with reader._place():
            assert await text(first) == "a" * 9
            with pytest.raises(TimedOut):
                await text(second)  # which nobody asked for since

    asyncio.run(run())


def test_documents_wait_for_each_other_but_not_for_ever() -> None:
    async def run() -> list[object]:
        reader = DocumentReader(ReaderLimits(together=1, waiting_s=0.01))
        files = [io.BytesIO(make_pdf(["text"])) for _ in range(3)]
        reading = [
            reader.read(file, Kind.PDF, "It", most_characters=100, sees_images=False)
            for file in files
        ]
        return list(await asyncio.gather(*reading, return_exceptions=True))

    found = asyncio.run(run())
    assert found[0] == "text"
    assert all(isinstance(error, TimedOut) for error in found[1:])


def test_a_reader_that_is_not_needed_any_more_ends() -> None:
    async def run() -> str | Pages:
        reader = DocumentReader(ReaderLimits(together=1, memory_bytes=8 << 30))
        bomb = reader.read(
            io.BytesIO(make_bomb(BOMB_MB)), Kind.PDF, "It", most_characters=10**9, sees_images=False
        )
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(bomb, 0.3)
        return await reader.read(
            io.BytesIO(make_pdf(["next"])), Kind.PDF, "It", most_characters=9, sees_images=False
        )

    assert asyncio.run(run()) == "next"
