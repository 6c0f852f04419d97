"""Media in bodies: data URIs, base64 and addresses."""

from __future__ import annotations

import base64

import pytest

from localai.dialects.media import PendingMedia, media_from
from localai.domain.errors import InvalidRequest
from localai.domain.parts import Media, MediaKind
from tests.mmproj_maker import png

PICTURE = base64.b64encode(png()).decode()


@pytest.mark.parametrize(
    "text",
    [
        PICTURE,
        f"data:image/png;base64,{PICTURE}",
        f"data:image/jpeg;base64,{PICTURE}",
        f"data:;base64,{PICTURE}",
        f"data:image/png;name=a.png;base64,{PICTURE}",
    ],
)
def test_a_picture_is_read_and_told_by_its_bytes(text: str) -> None:
    media = media_from(text, MediaKind.IMAGE, "here")
    assert media == Media(kind=MediaKind.IMAGE, media_type="image/png", data=png())


def test_an_address_waits_for_the_door() -> None:
    media = media_from("HTTPS://example.org/a.png", MediaKind.IMAGE, "here")
    assert isinstance(media, PendingMedia)
    assert (media.address, media.path) == ("HTTPS://example.org/a.png", "here")


@pytest.mark.parametrize(
    ("text", "kind", "says"),
    [
        ("data:image/png,abc", MediaKind.IMAGE, "not base64"),
        ("!!!", MediaKind.IMAGE, "not base64"),
        ("", MediaKind.IMAGE, "empty"),
        (PICTURE, MediaKind.AUDIO, "image/png, not sound"),
        (base64.b64encode(b"plain text").decode(), MediaKind.IMAGE, "no image"),
        ("file:///etc/passwd", MediaKind.IMAGE, "begins with file://"),
    ],
)
def test_what_is_wrong_is_said(text: str, kind: MediaKind, says: str) -> None:
    with pytest.raises(InvalidRequest, match=says) as caught:
        media_from(text, kind, "here")
    assert caught.value.fields["param"] == "here"
