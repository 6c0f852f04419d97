"""Reads one document, in a process of its own: a hostile one can only end that process.

    python child.py '{"kind": "pdf", ...}' < document

It writes one JSON object: {"text": ...}, {"images": [base64 PNG, ...]}, or {"error": a word}. It
imports nothing of this package, so that it starts quickly.
"""

from __future__ import annotations

import base64
import codecs
import contextlib
import json
import re
import resource
import signal
import struct
import sys
import zlib
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any, BinaryIO

_MOST_FILES = 32
_LONGEST_SIDE = 1536  # pixels of a page's image: enough to read, small enough for any projector
_SKIPPED = frozenset({"script", "style", "noscript", "template", "svg", "title"})
_LINES = frozenset({
    "address", "article", "aside", "blockquote", "br", "dd", "div", "dl", "dt", "fieldset",
    "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr",
    "li", "main", "nav", "ol", "option", "p", "pre", "section", "table", "tr", "ul",
})  # fmt: skip
_CELLS = frozenset({"td", "th"})
_CHARSET = re.compile(rb"<meta[^>]{0,200}charset\s*=\s*[\"']?([\w-]{1,40})", re.IGNORECASE)


def limit(memory_bytes: int, seconds: int) -> None:
    """Let the kernel end this process when it takes too much."""
    signal.alarm(seconds)
    for what, most in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, _MOST_FILES),
    ):
        with contextlib.suppress(ValueError, OSError):  # not every system has each of them
            resource.setrlimit(what, (most, most))


def read_pdf(file: BinaryIO, asked: dict[str, Any]) -> dict[str, Any]:
    """The text of all pages, or images of them where there is none."""
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(file)
    except pypdfium2.PdfiumError as error:
        return {"error": "locked" if "assword" in str(error) else "damaged"}
    if document.get_formtype():
        document.init_forms()
    pages = len(document)
    if not 0 < pages <= asked["most_pages"]:
        return {"error": "pages", "pages": pages}
    texts: list[str] = []
    characters = 0
    for number in range(pages):
        text = _page_text(document, number)
        characters += len(text)
        if characters > asked["most_characters"]:
            return {"error": "long"}
        texts.append(_tidy(text))
    if any(texts):
        return {"text": "\n\n".join(texts)}
    if not asked["most_images"]:
        return {"error": "scanned", "pages": pages}
    if pages > asked["most_images"]:
        return {"error": "many_images", "pages": pages}
    return {"images": [_image(document[number]) for number in range(pages)]}


def _page_text(document: Any, number: int) -> str:
    """The text of a page, with what was filled into its form."""
    page = document[number]
    if document.formenv:
        page.flatten()
        page.close()
        page = document[number]
    text: str = page.get_textpage().get_text_range()
    page.close()
    return text


def _tidy(text: str) -> str:
    """Pdfium's text with plain line ends; its sign for a word that goes on in the next line goes."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
    return re.sub("[\ufffe\uffff\x02]\n?", "", text).strip()


def _image(page: Any) -> str:
    width, height = page.get_size()
    scale = _LONGEST_SIDE / max(width, height, 1.0)
    bitmap = page.render(scale=scale, rev_byteorder=True)
    channels = bitmap.n_channels
    data = bytes(bitmap.buffer)
    lines = (
        b"\0" + data[row * bitmap.stride : row * bitmap.stride + bitmap.width * channels]
        for row in range(bitmap.height)
    )
    kind = {1: 0, 3: 2, 4: 6}[channels]  # PNG's numbers for gray, color, color with opacity
    head = struct.pack(">IIBBBBB", bitmap.width, bitmap.height, 8, kind, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(b"".join(lines), 1)), (b"IEND", b""))
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )
    return base64.b64encode(png).decode()


def read_html(file: BinaryIO, asked: dict[str, Any]) -> dict[str, Any]:
    """The text that a browser would show."""
    data = file.read()
    reader = _Reader()
    reader.feed(_decoded(data))
    reader.close()
    text = reader.text()
    return {"error": "long"} if len(text) > asked["most_characters"] else {"text": text}


def _decoded(data: bytes) -> str:
    for mark, name in ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"),
                       (codecs.BOM_UTF16_BE, "utf-16")):  # fmt: skip
        if data.startswith(mark):
            return data.decode(name, errors="replace")
    with contextlib.suppress(UnicodeDecodeError):
        return data.decode()
    declared = _CHARSET.search(data[:1024])
    name = declared[1].decode() if declared else "cp1252"  # as browsers do
    try:
        return data.decode(name, errors="replace")
    except LookupError:
        return data.decode("cp1252", errors="replace")


class _Reader(HTMLParser):
    """Collects what is shown; the elements that begin a line begin one here."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._pieces: list[str] = []
        self._skipping: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002 - HTMLParser's signature
        if tag in _SKIPPED:
            self._skipping.append(tag)
        self._break(tag)

    def handle_startendtag(self, tag: str, attrs: object) -> None:  # noqa: ARG002 - as above
        self._break(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._skipping:
            while self._skipping.pop() != tag:
                pass
        self._break(tag)
        if tag in _CELLS:
            self._pieces.append("\t")

    def handle_data(self, data: str) -> None:
        if not self._skipping:
            self._pieces.append(re.sub(r"\s+", " ", data))

    def text(self) -> str:
        """What was collected, without empty space at the ends of lines."""
        return "\n".join(_shown(line for line in "".join(self._pieces).split("\n")))

    def _break(self, tag: str) -> None:
        if tag in _LINES:
            self._pieces.append("\n")


def _shown(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        text = "\t".join(re.sub(" +", " ", cell).strip() for cell in line.split("\t")).strip()
        if text:
            yield text


def main() -> None:
    """Read what is asked for."""
    asked = json.loads(sys.argv[1])
    limit(asked["memory_bytes"], asked["seconds"])
    read = {"pdf": read_pdf, "html": read_html}[asked["kind"]]
    try:
        written = json.dumps(read(sys.stdin.buffer, asked))
    except ImportError:  # of the reader itself
        raise
    except MemoryError:
        written = '{"error": "memory"}'
    except Exception:
        written = '{"error": "damaged"}'
    sys.stdout.write(written)


if __name__ == "__main__":
    main()
