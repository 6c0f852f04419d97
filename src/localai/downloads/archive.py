"""A model as one file, for machines without a network: a tar archive that says what is in it.

Its first member, `local-ai.json`, lists every file with its size and checksum; the files follow.
Reading one takes only what is listed, as ordinary files with names that are allowed, and verifies
it like a download: nothing is unpacked blindly.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

import msgspec

from localai.domain.downloads import RemoteFile
from localai.domain.errors import ChecksumMismatch, InvalidRequest
from localai.downloads.download import sha256_of
from localai.downloads.names import model_file_name, safe_name, safe_weights_name
from localai.downloads.partial import Partial
from localai.downloads.receipts import FileRecord, Placing, Receipt
from localai.downloads.removal import Removal

CONTENTS: Final = "local-ai.json"
_VERSION: Final = 1
_MOST_CONTENTS_BYTES: Final = 8_000_000
_COPY_BYTES: Final = 4 << 20


class Contents(msgspec.Struct, frozen=True, kw_only=True):
    """What an archive holds."""

    version: int
    name: str
    files: tuple[FileRecord, ...]
    texts: dict[str, str]
    uri: str = ""
    backend: str = ""


def export(parts: Removal, receipt: Receipt | None, models_path: Path, target: Path) -> Contents:
    """Write the model whose files are `parts` to `target`, which must not exist.

    Raises InvalidRequest when it does.
    """
    files = tuple(
        FileRecord(
            name=path.relative_to(models_path).as_posix(),
            size_bytes=path.stat().st_size,
            sha256=sha256_of(path),
        )
        for path in (*parts.files, *parts.shared)
    )
    contents = Contents(
        version=_VERSION,
        name=parts.name,
        files=files,
        texts={path.relative_to(models_path).as_posix(): path.read_text() for path in parts.texts},
        uri=receipt.uri if receipt is not None else "",
        backend=receipt.backend if receipt is not None else "",
    )
    new = target.with_name(f"{target.name}.part")
    try:
        with target.open("xb"), tarfile.open(new, "w", format=tarfile.PAX_FORMAT) as archive:
            said = msgspec.json.encode(contents)
            header = tarfile.TarInfo(CONTENTS)
            header.size = len(said)
            archive.addfile(header, io.BytesIO(said))
            for file in files:
                archive.add(models_path / file.name, arcname=file.name, recursive=False)
    except FileExistsError:
        raise InvalidRequest(f"There is a file {target} already.", hint="Name another.") from None
    new.replace(target)
    return contents


def import_archive(path: Path, models_path: Path) -> str:
    """Install the model of an archive; gives its name.

    Raises InvalidRequest for what is no such archive or holds names that are not allowed or taken,
    ChecksumMismatch for other content than its list says, StorageFull.
    """
    try:
        with tarfile.open(path, "r:") as archive:
            contents = _contents(archive, path)
            _check(contents, models_path)
            wanted = {file.name: file for file in contents.files}
            moves = []
            while (member := archive.next()) is not None:
                file = wanted.pop(member.name, None)
                source = archive.extractfile(member) if file is not None and member.isreg() else None  # fmt: skip
                if file is None or source is None:
                    raise InvalidRequest(f"{path.name} holds {member.name[:200]!r}, which its list does not say.")  # fmt: skip
                moves.append((_take(source, file, path, models_path), file.name))
    except (tarfile.TarError, OSError, EOFError) as error:
        raise InvalidRequest(f"{path} cannot be read as an archive: {error}.") from None
    if wanted:
        raise InvalidRequest(f"{path.name} lacks the file {next(iter(wanted))!r} of its list.")
    receipt = Receipt(
        name=contents.name,
        uri=contents.uri or path.absolute().as_uri(),
        backend=contents.backend,
        installed_unix_s=int(time.time()),
        files=contents.files,
        texts=tuple(contents.texts),
    )
    placing = Placing(receipt=receipt, moves=tuple(moves), texts=contents.texts)
    placing.apply(models_path, placing.begin(models_path))
    return contents.name


def _contents(archive: tarfile.TarFile, path: Path) -> Contents:
    first = archive.next()
    source = archive.extractfile(first) if first is not None and first.isreg() else None
    if first is None or source is None or first.name != CONTENTS or first.size > _MOST_CONTENTS_BYTES:  # fmt: skip
        raise InvalidRequest(
            f"{path} is no model that was exported.", hint="`local-ai models export` makes one."
        )
    try:
        contents = msgspec.json.decode(source.read(), type=Contents)
    except msgspec.DecodeError as error:
        raise InvalidRequest(f"The list in {path.name} cannot be read: {error}.") from None
    if contents.version != _VERSION:
        raise InvalidRequest(f"{path.name} was made by a newer version of this program.")
    return contents


def _check(contents: Contents, models_path: Path) -> None:
    """Names that are allowed, and that are free."""
    model_file_name(contents.name)
    for name in contents.texts:
        safe_name(name)
    for file in contents.files:
        safe_weights_name(file.name)
    for name in (*contents.texts, *(file.name for file in contents.files)):
        if (models_path / name).exists():
            raise InvalidRequest(
                f"There is a file {name!r} in the models folder already.",
                hint="Uninstall that model first, or move the file away.",
            )


def _take(source: IO[bytes], record: FileRecord, path: Path, models_path: Path) -> str:
    """Copy one member into quarantine, verified; gives its name there."""
    remote = RemoteFile(
        name=record.name,
        address=path.absolute().as_uri(),
        size_bytes=record.size_bytes,
        sha256=record.sha256,
    )
    with _opened(Partial(models_path, remote)) as partial:
        digest, at = hashlib.sha256(), 0
        while data := source.read(_COPY_BYTES):
            digest.update(data)
            partial.write(at, [data])
            at += len(data)
        if (digest.hexdigest(), at) != (record.sha256, record.size_bytes):
            partial.discard()
            raise ChecksumMismatch(
                f"{record.name} in {path.name} is not what its list says.",
                hint="Copy the archive anew.",
            )
        partial.verified(digest.hexdigest(), at)
        return partial.path.name


@contextmanager
def _opened(partial: Partial) -> Iterator[Partial]:
    partial.open()
    partial.reset()
    try:
        yield partial
    finally:
        partial.close()
