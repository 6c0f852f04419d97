"""Which galleries there are: the setting GALLERIES, and what an address of one means."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import msgspec

from localai.domain.errors import SettingInvalid

PACKAGE: Final = "package:"  # the address of the index in this package
OWN: Final = "builtin"
LOCALAI: Final = "localai"
LOCALAI_URL: Final = "github:mudler/LocalAI/gallery/index.yaml@master"

_RAW: Final = "https://raw.githubusercontent.com"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_FEWEST_PARTS: Final = 3


class Gallery(msgspec.Struct, frozen=True):
    """An index of models: its name, and an address.

    The address is `http(s)://`, `github:owner/repository/path@branch`, `file://`, a path, or
    `package:` for the index that comes with this package.
    """

    name: str
    url: str


DEFAULT: Final = (Gallery(OWN, PACKAGE), Gallery(LOCALAI, LOCALAI_URL))


def galleries_of(setting: str) -> tuple[Gallery, ...]:
    """The galleries of the setting, a JSON list of {"name", "url"}; the first comes before others.

    Without a setting there are our own and LocalAI's. With one there are those it lists, and our
    own after them, so that a list for LocalAI keeps its meaning. Raises SettingInvalid.
    """
    if not setting.strip():
        return DEFAULT
    try:
        listed = msgspec.json.decode(setting.encode(), type=list[Gallery])
    except msgspec.DecodeError as error:
        raise SettingInvalid(
            f"GALLERIES is no JSON list of galleries: {error}.",
            hint='Write it as [{"name": "localai", "url": "https://example.org/index.yaml"}].',
        ) from None
    seen: set[str] = set()
    for gallery in listed:
        if not _NAME.fullmatch(gallery.name):
            raise SettingInvalid(
                f"GALLERIES names a gallery {gallery.name[:64]!r}; a name is letters, digits, `.`, `_` and `-`."
            )
        if gallery.name.lower() in seen:
            raise SettingInvalid(f"GALLERIES has two galleries with the name {gallery.name!r}.")
        seen.add(gallery.name.lower())
        web_address(gallery.url)
    if OWN not in seen:
        listed.append(Gallery(OWN, PACKAGE))
    return tuple(listed)


def web_address(url: str) -> str:
    """The http(s) address that a gallery's or a base configuration's address means.

    Empty for one on this machine. Raises SettingInvalid for an address of another kind.
    """
    if is_local(url):
        return ""
    if url.startswith("github:"):
        path, _, branch = url.removeprefix("github:").lstrip("/").partition("@")
        parts = path.split("/", 2)
        if len(parts) == _FEWEST_PARTS and all(parts):
            return f"{_RAW}/{parts[0]}/{parts[1]}/{branch or 'main'}/{parts[2]}"
    elif url.startswith(("https://", "http://")) and urlsplit(url).hostname:
        return url
    raise SettingInvalid(
        f"{url[:200]!r} is no address of a gallery.",
        hint="Use https://..., github:owner/repository/path@branch, file:///... or a path.",
    )


def is_local(url: str) -> bool:
    """Whether an address leads to this machine's own files, or into the package."""
    return (
        url == PACKAGE
        or url.startswith("file://")
        or bool(url and "://" not in url and not url.startswith("github:"))
    )


def local_path(url: str) -> Path:
    """The file that a local address means."""
    if url.startswith("file://"):
        return Path(unquote(urlsplit(url).path))
    return Path(url).expanduser()
