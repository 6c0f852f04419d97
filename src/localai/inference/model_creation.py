"""Making a model of what is there: of files that were sent, or of another model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from localai.catalog.gguf import PART, looks_like, read_gguf
from localai.catalog.gotemplate import GoTemplateError
from localai.catalog.ollama_prompts import parse_ollama
from localai.domain.errors import InvalidRequest, ModelFileInvalid, NotStored
from localai.downloads import model_files
from localai.downloads.names import model_file_name, place, safe_name
from localai.downloads.partial import downloads_folder
from localai.downloads.receipts import FileRecord, Placing, Receipt, Receipts
from localai.downloads.removal import left_over
from localai.gallery.plan import checked_yaml, over
from localai.inference.model_jobs import check_model_name

if TYPE_CHECKING:
    from localai.catalog.spec import Catalog, ModelSpec
    from localai.domain.downloads import NewModel
    from localai.downloads.blobs import Blobs
    from localai.inference.library import Library

_KEY_BYTES: Final = 6


@dataclass(frozen=True, slots=True)
class _Sent:
    """A file that was sent: its name there, its checksum, and where it lies."""

    name: str
    sha256: str
    path: Path


class ModelCreation:
    """Makes models in one folder."""

    def __init__(self, library: Library, blobs: Blobs, models_path: Path) -> None:
        self.blobs = blobs
        self._library = library
        self._models_path = models_path
        self._one = asyncio.Lock()

    async def create(self, new: NewModel) -> AsyncGenerator[str, None]:
        """Make a model, telling what is done. One that was made or installed before is replaced.

        Everything is checked before the first line. Raises InvalidRequest, ModelNotFound, and
        NotStored for a file that was not sent.
        """
        async with self._one:
            placing = await asyncio.to_thread(self._plan, new)
            yield "reading model metadata" if new.base else "parsing GGUF"
            for file in placing.receipt.files:
                yield f"using existing layer sha256:{file.sha256}"
            yield "writing manifest"
            await asyncio.shield(asyncio.to_thread(self._put, placing))
            yield "success"

    async def copy(self, source: str, destination: str) -> None:
        """Give a model a second name, with settings of its own; it may be replaced by `create`."""
        spec = self._library.find_listed(source)
        if spec.is_starter:
            raise InvalidRequest(
                f"{spec.name!r} comes with the server and cannot be copied.", param="source"
            )
        check_model_name(destination)
        if destination in self._library.catalog().specs:
            raise InvalidRequest(
                f"There is a model named {destination!r} already.", param="destination"
            )
        await asyncio.to_thread(self._copy, spec, destination)

    def _copy(self, spec: ModelSpec, name: str) -> None:
        values = model_files.values_of(spec, self._models_path)
        text = model_files.to_yaml({**values, "name": name})
        model_files.write_model_file(text, self._models_path)
        files = self._files_of(spec)
        receipt = Receipt(name=name, uri=spec.name, files=files, texts=(model_file_name(name),))
        Receipts(self._models_path).write(receipt)
        self._library.refresh()

    def _plan(self, new: NewModel) -> Placing:
        check_model_name(new.name)
        yaml_name = model_file_name(new.name)
        self._check_free(new.name, yaml_name, self._library.refresh())
        sent = [self._claimed(name, digest) for name, digest in new.files.items()]
        adapters = [self._claimed(name, digest) for name, digest in new.adapters.items()]
        folder = _folder(new.name, [*sent, *adapters])
        kept: tuple[FileRecord, ...] = ()
        if new.base:
            spec = self._base(new.base)
            base, kept = model_files.values_of(spec, self._models_path), self._files_of(spec)
        else:
            base = _of_files(sent, folder)
        config = {**base, "name": new.name}
        if adapters:
            _check_adapters(adapters)
            config["lora_adapters"] = [f"{folder}/{_base(file)}" for file in adapters]
        config = over(config, new.config)
        if new.template and not self._is_own(new.template, new, sent):
            _check_template(new.template)
            config["template"] = {"ollama": new.template}
        try:
            text = checked_yaml(config, "Created with POST /api/create")
        except InvalidRequest as error:
            raise InvalidRequest(error.message, param="parameters", hint=error.hint) from None
        files = {f"{folder}/{_base(file)}": file for file in (*sent, *adapters)}
        for name in files:
            place(self._models_path, name)
        records = (
            FileRecord(name=name, size_bytes=file.path.stat().st_size, sha256=file.sha256)
            for name, file in files.items()
        )
        parts = tuple((f"../blobs/{file.path.name}", name) for name, file in files.items())
        receipt = Receipt(
            name=new.name, uri=new.base, files=(*kept, *records), texts=(yaml_name,),
            why="created with POST /api/create", backend=str(config.get("backend") or ""),
        )  # fmt: skip
        return Placing(receipt=receipt, moves=parts, texts={yaml_name: text})

    def _put(self, placing: Placing) -> None:
        """All of it, or nothing; then what only the model that was replaced had."""
        receipts = Receipts(self._models_path)
        older = receipts.read(placing.receipt.name)
        downloads_folder(self._models_path).mkdir(parents=True, exist_ok=True)
        placing.apply(self._models_path, placing.begin(self._models_path))
        catalog = self._library.refresh()
        if older is not None:
            for path in left_over(older, catalog, self._models_path):
                path.unlink(missing_ok=True)
                with suppress(OSError):  # something else is in it
                    path.parent.rmdir()

    def _check_free(self, name: str, yaml_name: str, catalog: Catalog) -> None:
        """Raise InvalidRequest for a name that belongs to a file somebody wrote by hand."""
        made = {text for receipt in Receipts(self._models_path).all() for text in receipt.texts}
        spec = catalog.specs.get(name)
        written = model_files.model_file_of(spec, self._models_path) if spec is not None else None
        for path in (self._models_path / yaml_name, written):
            if path is not None and path.exists() and path.name not in made:
                raise InvalidRequest(
                    f"The model file {path.name} was written by hand, and is not replaced.",
                    param="model",
                    hint="Choose another name, or remove that model first.",
                )

    def _claimed(self, name: str, sha256: str) -> _Sent:
        safe_name(name)
        path = self.blobs.claim(sha256)
        if path is None:
            raise NotStored("file", f"sha256:{sha256}", param="files")
        return _Sent(name, sha256, path)

    def _is_own(self, template: str, new: NewModel, sent: list[_Sent]) -> bool:
        """Whether a template is the one in the weights, which `show` gives and clients send back."""
        path = self._base(new.base).model_path if new.base else sent[0].path
        if path is None or looks_like(path) != "gguf":
            return False
        with suppress(ModelFileInvalid):
            return (read_gguf(path).chat_template or "").strip() == template.strip()
        return False

    def _files_of(self, spec: ModelSpec) -> tuple[FileRecord, ...]:
        """The files that came with a model, which stay as long as one model has them."""
        receipt = Receipts(self._models_path).read(spec.name)
        return receipt.files if receipt is not None else ()

    def _base(self, name: str) -> ModelSpec:
        """The model to begin with. Raises ModelNotFound, InvalidRequest."""
        spec = self._library.find_listed(name)
        if spec.alias is not None:
            spec = self._library.find_listed(spec.alias)
        if spec.is_starter:
            raise InvalidRequest(
                f"{spec.name!r} comes with the server, and no model can be made of it.",
                param="from",
            )
        return spec


def _folder(name: str, files: list[_Sent]) -> str:
    """Where the files go: other content, another folder, so that no other model's file changes."""
    key = blake2b(digest_size=_KEY_BYTES)
    for file in sorted(files, key=lambda file: file.name):
        key.update(f"{file.name}\n{file.sha256}\n".encode())
    return f"{model_file_name(name).removesuffix('.yaml')}/{key.hexdigest()}"


def _base(file: _Sent) -> str:
    return PurePosixPath(file.name).name


def _of_files(files: list[_Sent], folder: str) -> dict[str, Any]:
    """What a model file says of these files. Raises InvalidRequest when they are no model."""
    names = [_base(file) for file in files]
    if len({name.casefold() for name in names}) < len(names):
        raise InvalidRequest("Two of the files have one name.", param="files")
    if not any(looks_like(file.path) == "gguf" for file in files):
        if "config.json" in names and any(name.endswith(".safetensors") for name in names):
            return {"parameters": {"model": folder}}
        raise InvalidRequest(
            f"The files are no model: {', '.join(names[:8])}.",
            param="files",
            hint="A GGUF file is needed, or config.json with safetensors.",
        )
    kinds: dict[str, list[str]] = {}
    for file in files:
        kinds.setdefault(_kind(file), []).append(f"{folder}/{_base(file)}")
    models = sorted(kinds.pop("model", []))
    projectors = kinds.pop("mmproj", [])
    if kinds or not models or len(projectors) > 1:
        said = ", ".join(f"{name} ({_kind(file)})" for name, file in zip(names, files, strict=True))
        raise InvalidRequest(
            f"The files are not one model: {said}.",
            param="files",
            hint="One GGUF model is needed, whole or in parts, perhaps with one projector (mmproj).",
        )
    _check_parts(models)
    config: dict[str, Any] = {"parameters": {"model": models[0]}}
    if projectors:
        config["mmproj"] = projectors[0]
    return config


def _check_parts(models: list[str]) -> None:
    """Raise InvalidRequest for several files that are not the parts of one."""
    found = [PART.match(PurePosixPath(name).name) for name in models]
    stems = {one["stem"] if one else None for one in found}
    if len(models) > 1 and (None in stems or len(stems) > 1):
        raise InvalidRequest(
            f"The files are {len(models)} models.",
            param="files",
            hint="Send one, whole or in parts.",
        )


def _kind(file: _Sent) -> str:
    """The kind of a GGUF file. Raises InvalidRequest for another or a damaged one."""
    if PART.match(_base(file)):  # the parts are held against each other when they lie together
        return "model" if looks_like(file.path) == "gguf" else "unknown"
    try:
        facts = read_gguf(file.path)
    except ModelFileInvalid as error:
        said = error.message.replace(file.path.name, _base(file))
        raise InvalidRequest(said, param="files", hint=error.hint) from None
    return facts.kind


def _check_adapters(files: list[_Sent]) -> None:
    for file in files:
        kind = _kind(file)
        if kind != "adapter":
            raise InvalidRequest(
                f"{_base(file)!r} is no LoRA adapter: it is a GGUF file of the kind {kind}.",
                param="adapters",
            )


def _check_template(template: str) -> None:
    """Raise InvalidRequest for a template that does not parse."""
    if "{%" in template:
        raise InvalidRequest(
            "The template is in Jinja, and Ollama's are in Go's template language.",
            param="template",
            hint="Leave it out: the template in the model's file is used then.",
        )
    try:
        parse_ollama(template, "template")
    except GoTemplateError as error:
        said = f"template:{error.line}:{error.column}: {error.message}"
        raise InvalidRequest(f"The template is wrong: {said}", param="template") from None
