"""PDF files with known text, with images only, and those that are built to do harm."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

PAGE = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Resources<<%s>>/Contents %d 0 R>>"
FONT = b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"


def make_pdf(texts: Sequence[str]) -> bytes:
    """One page for each text; its lines stand below each other."""
    objects = [*_catalog(len(texts)), FONT]
    for number, text in enumerate(texts):
        lines = b" ".join(b"(%s) Tj T*" % line.encode("latin-1") for line in text.split("\n"))
        objects.append(PAGE % (b"/Font<</F 3 0 R>>", 5 + 2 * number))
        objects.append(_stream(b"BT /F 12 Tf 50 750 Td 14 TL " + lines + b" ET"))
    return _file(objects)


def make_scan(pages: int = 1) -> bytes:
    """Pages that hold one gray image each, as a scanner makes them."""
    image = b"/Type/XObject/Subtype/Image/Width 64/Height 64/ColorSpace/DeviceGray"
    pixels = zlib.compress(b"\x80" * 64 * 64)
    objects = [*_catalog(pages), _stream(pixels, image + b"/BitsPerComponent 8/Filter/FlateDecode")]
    for number in range(pages):
        objects.append(PAGE % (b"/XObject<</I 3 0 R>>", 5 + 2 * number))
        objects.append(_stream(b"612 0 0 792 0 0 cm /I Do"))
    return _file(objects)


def make_form(label: str, value: str) -> bytes:
    """A page with one field, which somebody filled in."""
    field = b"<</Type/Annot/Subtype/Widget/FT/Tx/T(a)/V(%s)/Rect[100 695 300 715]/F 4/P 4 0 R/AP<</N 7 0 R>>>>"
    shown = _stream(
        b"BT /F 12 Tf 2 5 Td (%s) Tj ET" % value.encode(),
        b"/Type/XObject/Subtype/Form/BBox[0 0 200 20]/Resources<</Font<</F 3 0 R>>>>",
    )
    catalog, pages = _catalog(1)
    page = PAGE.replace(b"<<%s>>", b"<<%s>>/Annots[6 0 R]") % (b"/Font<</F 3 0 R>>", 5)
    text = _stream(b"BT /F 12 Tf 50 700 Td (%s) Tj ET" % label.encode())
    with_form = catalog.replace(b">>", b"/AcroForm<</Fields[6 0 R]>>>>")
    return _file([with_form, pages, FONT, page, text, field % value.encode(), shown])


def make_bomb(megabytes: int) -> bytes:
    """A page of some kilobytes whose text is so many megabytes when it is unpacked."""
    text = b"(aaaaaaaaaaaaaaaa) Tj ".ljust(25) * 40_000
    packer = zlib.compressobj(9, wbits=-15)
    block = packer.compress(text) + packer.flush(zlib.Z_FULL_FLUSH)  # needs no block before it
    checksum = 1
    for _ in range(megabytes):
        checksum = zlib.adler32(text, checksum)
    once = b"\x78\xda" + block * megabytes + packer.flush() + checksum.to_bytes(4, "big")
    twice = zlib.compress(once, 9)
    page = PAGE % (b"/Font<</F 3 0 R>>", 5)
    packed = _stream(twice, b"/Filter[/FlateDecode/FlateDecode]")
    return _file([*_catalog(1), FONT, page, packed])


def make_circle() -> bytes:
    """Pages that contain themselves."""
    return _file([b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Count 9/Kids[2 0 R 2 0 R]>>"])


def make_locked() -> bytes:
    """A file that needs a password. Source: ISO 32000-1, 7.6.3."""
    key, ident = b"x" * 32, b"0123456789abcdef"
    lock = b"<</Filter/Standard/V 1/R 2/P -4/O(%s)/U(%s)>>" % (key, key)
    return _file([*_catalog(0), lock], b"/Encrypt 3 0 R/ID[(%s)(%s)]" % (ident, ident))


def _catalog(pages: int) -> list[bytes]:
    kids = b" ".join(b"%d 0 R" % (4 + 2 * number) for number in range(pages))
    return [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Count %d/Kids[%s]>>" % (pages, kids),
    ]


def _stream(data: bytes, more: bytes = b"") -> bytes:
    return b"<<%s/Length %d>>\nstream\n" % (more, len(data)) + data + b"\nendstream"


def _file(objects: Sequence[bytes], trailer: bytes = b"") -> bytes:
    written, places = b"%PDF-1.7\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(written))
        written += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    count = len(objects) + 1
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    head = b"xref\n0 %d\n0000000000 65535 f \n" % count
    end = b"trailer <</Size %d/Root 1 0 R%s>>\nstartxref\n%d\n%%%%EOF\n"
    return written + head + table + end % (count, trailer, len(written))
