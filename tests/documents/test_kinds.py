"""What a document is, and what it may be called."""

from __future__ import annotations

import pytest

from localai.documents import Kind, filename_of, kind_of, media_type_of_file
from tests.mmproj_maker import flac, mp3, png, wav


@pytest.mark.parametrize(
    ("head", "declared", "kind"),
    [
        (b"%PDF-1.7", "", Kind.PDF),
        (b"\n\n%PDF-1.4", "text/plain", Kind.PDF),
        (b" <!DOCTYPE HTML>", "", Kind.HTML),
        (b"\xef\xbb\xbf<!-- x -->\n<html lang=de>", "", Kind.HTML),
        (b"<htmlish>", "", Kind.TEXT),
        (b"<p>", "text/html", Kind.HTML),
        (b"a,b", "text/csv", Kind.TEXT),
        (b"BMW, a maker of cars", "", Kind.TEXT),
        (b"ID3 is a decision tree", "", Kind.TEXT),
        (b"GIF8 is no format", "", Kind.TEXT),
        (b"PK\x03\x04", "application/pdf", Kind.OTHER),
        (b"\0\0\0\x18ftypmp42", "", Kind.OTHER),
        (png(), "application/pdf", Kind.MEDIA),
        (wav(), "", Kind.MEDIA),
        (mp3(), "", Kind.MEDIA),
        (flac(1, 1), "", Kind.MEDIA),
        (b"", "", Kind.TEXT),
    ],
)
def test_bytes_say_more_than_words(head: bytes, declared: str, kind: Kind) -> None:
    assert kind_of(head[:1024], declared) is kind


@pytest.mark.parametrize(
    ("head", "name", "declared", "media_type"),
    [
        (b"%PDF-1.7", "a.txt", "text/plain", "application/pdf"),
        (b"x", "a.txt", "", "text/plain"),
        (b"x", "a.csv", "application/octet-stream", "text/csv"),
        (b"x", "", "Text/Markdown", "text/markdown"),
        (b"x", "a.unknown", "no type", "application/octet-stream"),
    ],
)
def test_a_file_has_a_type(head: bytes, name: str, declared: str, media_type: str) -> None:
    assert media_type_of_file(head, name, declared) == media_type


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("report.pdf", "report.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\a b.pdf", "a b.pdf"),
        ("a\r\nX-Header: 1\0.txt", "aX-Header: 1.txt"),
        ("..", "unnamed.pdf"),
        ("a/", "unnamed.pdf"),
        ("", "unnamed.pdf"),
        ("\u00fcber.pdf", "\u00fcber.pdf"),
        ("x" * 300 + ".pdf", "x" * 251 + ".pdf"),
    ],
)
def test_a_name_is_one_name(given: str, name: str) -> None:
    assert filename_of(given, "application/pdf") == name
