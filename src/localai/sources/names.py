"""What a written name means: which source, and where in it. Nothing is asked for here.

owner/repo  owner/repo/file  owner/repo@revision/file  owner/repo/file@revision
huggingface://...  hf://...  hf.co/owner/repo[:quantization]  https://huggingface.co/owner/repo/...
ollama://[host/][namespace/]model[:tag]      ollama.com/library/model[:tag]
oci://host/repository[:tag][@sha256:digest]  quay.io/...  ghcr.io/...  docker.io/...
github:owner/repo/file[@revision]            github://owner/repo/file[@revision]
http://...  https://...  file:///...  /path  ./path  ~/path
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote, urlsplit

from localai.domain.errors import InvalidRequest

MOST_CHARACTERS: Final = 4096
OLLAMA_REGISTRY: Final = "registry.ollama.ai"

_HF_SCHEMES: Final = ("huggingface://", "hf://", "hf.co/", "huggingface.co/")
_HF_SITES: Final = ("huggingface.co", "hf.co", "www.huggingface.co")
_OCI_HOSTS: Final = ("quay.io/", "ghcr.io/", "docker.io/")
_REVISION_LINKS: Final = ("resolve", "blob", "raw", "tree")
_PATHS: Final = ("/", "./", "../", "~/", "~")
_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9._-]{1,96}")
_QUANTIZATION = re.compile(r"[A-Za-z0-9_.-]{1,40}")
_OCI_PART = re.compile(
    r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*"
)  # OCI distribution 1.1, "Pulling manifests"
_OLLAMA_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::\d{1,5})?|\[[0-9a-fA-F:.]+\](?::\d{1,5})?")  # fmt: skip
_REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/+-]{0,199}")
_SHOWN: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A name, taken apart.

    `source` is huggingface, ollama, oci, github, web or file. `repository` is owner/repo, or an
    OCI repository; `path` a file in it, or a local path; `revision` a branch, tag, commit or
    digest, "" for the source's default. `host` is an OCI registry's; `address` a web address;
    `quantization` what follows the colon in `hf.co/owner/repo:Q4_K_M`.
    """

    source: str
    written: str
    repository: str = ""
    path: str = ""
    revision: str = ""
    host: str = ""
    address: str = ""
    quantization: str = ""


def is_written_as_source(name: str) -> bool:
    """Whether `name` has the form of a source's name, so that no gallery needs to be asked."""
    try:
        return parse(name) is not None
    except InvalidRequest:
        return True


def parse(written: str) -> Written | None:
    """Take a name apart; None when it has no form that is known here, such as a plain word.

    Raises InvalidRequest for one that has such a form and is wrong.
    """
    name = written.strip()
    if len(name) > MOST_CHARACTERS or not name.isprintable():
        raise _wrong(name, f"is longer than {MOST_CHARACTERS} characters, or holds control characters")  # fmt: skip
    low = name.lower()
    for prefix in _HF_SCHEMES:
        if low.startswith(prefix):
            return _hugging_face(name, name[len(prefix) :])
    if low.startswith(("http://", "https://")):
        return _web(name)
    if low.startswith(("ollama://", "ollama.com/")):
        return _ollama(name, name.partition("//" if "://" in low else "/")[2])
    if low.startswith("oci://"):
        return _oci(name, name[len("oci://") :])
    if low.startswith(_OCI_HOSTS):
        return _oci(name, name)
    if low.startswith("github:"):
        return _github(name, name[len("github:") :].removeprefix("//"))
    if low.startswith("file://"):
        return Written(source="file", written=name, path=unquote(urlsplit(name).path))
    if name.startswith(_PATHS) or re.match(r"[A-Za-z]:[\\/]", name):
        return Written(source="file", written=name, path=name)
    if low.startswith("ocifile://"):
        raise _wrong(name, "is an archive of an image, and archives are not unpacked here")
    if "://" in name:
        raise _wrong(name, f"begins with {name.partition('://')[0]}://, which is no known source")
    if "/" in name and _REPOSITORY.match(name):
        return _hugging_face(name, name)
    return None


def _hugging_face(written: str, rest: str) -> Written:
    rest, _, quantization = rest.partition(":") if rest.count("/") == 1 else (rest, "", "")
    owner, _, tail = rest.partition("/")
    repo, _, path = tail.partition("/")
    repo, _, revision = repo.partition("@")
    if "@" in path:
        path, _, revision = path.rpartition("@")
    found = Written(
        source="huggingface",
        written=written,
        repository=f"{owner}/{repo}",
        path=path.strip("/"),
        revision=revision,
        quantization=quantization,
    )
    if not _REPOSITORY.fullmatch(found.repository):
        raise _wrong(written, "is not of the form owner/repository or owner/repository/file")
    if quantization and not _QUANTIZATION.fullmatch(quantization):
        raise _wrong(written, "has something after the colon that is no quantization")
    _check_revision(written, revision, has_mark="@" in rest)
    return found


def _web(written: str) -> Written:
    try:
        parts = urlsplit(written)
        host = (parts.hostname or "").lower()
    except ValueError:
        raise _wrong(written, "is no web address") from None
    if not host:
        raise _wrong(written, "names no server")
    if host in _HF_SITES and parts.path.count("/") > 1:
        return _hugging_face_page(written, unquote(parts.path).strip("/"))
    return Written(source="web", written=written, address=written)


def _hugging_face_page(written: str, path: str) -> Written:
    """https://huggingface.co/owner/repo[/resolve/revision/path], as people copy it."""
    pieces = path.split("/")
    if len(pieces) > 3 and pieces[2] in _REVISION_LINKS:  # noqa: PLR2004 - owner, repo, word, revision
        owner, repo, _, revision, *rest = pieces
        found = _hugging_face(written, "/".join([owner, repo, *rest]))
        _check_revision(written, revision, has_mark=True)
        return Written(
            source=found.source,
            written=written,
            repository=found.repository,
            path="/".join(rest),
            revision=revision,
        )
    return _hugging_face(written, path)


def _ollama(written: str, rest: str) -> Written:
    """Ollama's names: [host/][namespace/]model[:tag]; `library` is its own namespace."""
    pieces = rest.strip("/").split("/")
    last, _, tag = pieces[-1].partition(":")
    pieces[-1] = last
    has_host = len(pieces) > 1 and ("." in pieces[0] or ":" in pieces[0] or pieces[0] == "localhost")  # fmt: skip
    host = pieces.pop(0) if has_host else OLLAMA_REGISTRY
    if len(pieces) == 1:
        pieces.insert(0, "library")
    if len(pieces) != 2 or not all(map(_OLLAMA_PART.fullmatch, pieces)):  # noqa: PLR2004 - namespace, model
        raise _wrong(written, "is not of the form ollama://[namespace/]model[:tag]")
    _check_host(written, host)
    if (":" in rest.rpartition("/")[2] or tag) and not _TAG.fullmatch(tag):
        raise _wrong(written, "has no valid tag after the colon")
    return Written(
        source="ollama",
        written=written,
        host=host,
        repository="/".join(pieces),
        revision=tag or "latest",
    )


def _oci(written: str, rest: str) -> Written:
    host, _, path = rest.partition("/")
    path, at, digest = path.partition("@")
    head, _, last = path.rpartition("/")
    last, colon, tag = last.partition(":")
    repository = f"{head}/{last}" if head else last
    if host.lower() == "docker.io":
        host = "registry-1.docker.io"
        repository = repository if "/" in repository else f"library/{repository}"
    _check_host(written, host)
    if not repository or not all(map(_OCI_PART.fullmatch, repository.split("/"))):
        raise _wrong(written, "is not of the form oci://host/repository[:tag]")
    if at and not _DIGEST.fullmatch(digest):
        raise _wrong(written, "has no digest of the form sha256:... after the @")
    if colon and not _TAG.fullmatch(tag):
        raise _wrong(written, "has no valid tag after the colon")
    return Written(
        source="oci",
        written=written,
        host=host,
        repository=repository,
        revision=digest or tag or "latest",
    )


def _github(written: str, rest: str) -> Written:
    rest, at, revision = rest.partition("@")
    pieces = rest.strip("/").split("/")
    if len(pieces) < 3 or not _REPOSITORY.fullmatch("/".join(pieces[:2])):  # noqa: PLR2004 - owner, repo, file
        raise _wrong(written, "is not of the form github:owner/repository/file[@revision]")
    if any(piece in ("", ".", "..") for piece in pieces):
        raise _wrong(written, "has an empty or climbing part in its path")
    _check_revision(written, revision, has_mark=bool(at))
    return Written(
        source="github",
        written=written,
        repository="/".join(pieces[:2]),
        path="/".join(pieces[2:]),
        revision=revision or "main",
    )


def _check_revision(written: str, revision: str, *, has_mark: bool) -> None:
    if not revision and not has_mark:
        return
    if not _REVISION.fullmatch(revision) or ".." in revision:
        raise _wrong(written, "has no branch, tag or commit after the @")


def _check_host(written: str, host: str) -> None:
    if not _HOST.fullmatch(host):
        raise _wrong(written, "names no valid server")


def _wrong(written: str, why: str) -> InvalidRequest:
    shown = written[:_SHOWN].encode("unicode_escape").decode("ascii")
    return InvalidRequest(
        f"'{shown}' {why}.",
        param="id",
        hint="Names look like owner/repo/file.gguf, hf://owner/repo, ollama://model:tag, oci://host/repo:tag, github:owner/repo/file, https://..., or a path.",
    )
