"""From the files behind a name to what installing a model of them takes. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any, Final

from localai.domain.downloads import Listing, ModelPlan, RemoteFile
from localai.domain.errors import InvalidRequest
from localai.downloads.names import model_file_name
from localai.gallery.entry import is_archive
from localai.gallery.fit import Build, builds_of, choose_build, named, size_text
from localai.gallery.ollama_settings import model_settings
from localai.gallery.plan import checked_yaml, over

_FOLDER_MARKS: Final = frozenset({"config.json", "modules.json"})
_ALONE: Final = (".onnx", ".bin")  # a voice, a Whisper model: one file is the model
_MOST_SHOWN: Final = 8

# Beside safetensors, the same weights once more for other frameworks.
_COPIES: Final = (".bin", ".pth", ".pt", ".h5", ".msgpack", ".ot", ".onnx", ".onnx_data", ".tflite", ".gguf")  # fmt: skip
_FOLDERS_OF_COPIES: Final = frozenset({"onnx", "openvino", "original", "coreml", "flax", "tf"})

# Which of several projectors: the common one first, as exact as the model needs.
_PROJECTORS: Final = ("f16", "bf16", "q8_0", "f32")


def plan_listing(
    listing: Listing, free_bytes: int, *, name: str = "", variant: str = "",
    overrides: Mapping[str, Any] | None = None,
) -> ModelPlan:  # fmt: skip
    """What installing the model of a listing takes, called `name` or as the listing suggests.

    Of several GGUF builds the largest is taken that fits into `free_bytes`, or the one that
    `variant` or the listing's own quantization names. Everything else its files decide once they
    are there. Raises InvalidRequest when they are no model, or several.
    """
    called = name or listing.model_name.removesuffix("-GGUF")
    asked = variant or listing.texts.get("quantization", "")
    if any(_is_gguf(file) for file in listing.files):
        return _of_gguf(listing, called, asked, free_bytes, overrides or {})
    if asked:
        raise InvalidRequest(
            f"{listing.uri} has no GGUF files to choose {asked[:80]!r} from.", param="variant"
        )
    if _FOLDER_MARKS & {PurePosixPath(file.name).name for file in listing.files}:
        return _of_folder(listing, called, overrides or {})
    return _of_file(listing, called, overrides or {})


def _of_gguf(
    listing: Listing, name: str, asked: str, free_bytes: int, overrides: Mapping[str, Any]
) -> ModelPlan:
    weights = [file for file in listing.files if _is_gguf(file)]
    builds = builds_of((file.name, file.size_bytes or 0) for file in weights)
    if not builds:
        raise _none(listing, "only parts of a model (a projector, calibration data)")
    if asked and named(asked, builds) is None:
        listed = ", ".join(build.quantisation or build.name for build in builds)
        raise InvalidRequest(
            f"{listing.uri} has no build {asked[:80]!r}.", param="variant", hint=f"It has {listed}."
        )
    choice = choose_build(builds, free_bytes=free_bytes, asked=asked)
    folder = "" if listing.is_exact else f"{_folder_name(name)}/"
    chosen = [
        replace(file, name=folder + PurePosixPath(file.name).name)
        for file in weights
        if file.name in choice.build.files
    ]
    chosen.sort(key=lambda file: file.name)
    config: dict[str, Any] = {"name": name, "parameters": {"model": chosen[0].name}}
    projector = _projector(weights)
    if projector is not None:
        base = PurePosixPath(chosen[0].name).stem
        config["mmproj"] = f"{folder}{base}-mmproj.gguf"
        chosen.append(replace(projector, name=config["mmproj"]))
    adapters = [file for file in weights if file.name.startswith("adapter-")]
    if listing.source == "ollama" and adapters:
        config["lora_adapters"] = [file.name for file in adapters]
        chosen += [file for file in adapters if file not in chosen]
    _add_ollama_texts(config, listing.texts)
    size = f" ({size_text(choice.build.size_bytes)})" if choice.build.size_bytes else ""
    why = f"{PurePosixPath(choice.build.name).name}{size}: {choice.why}."
    return _plan(listing, config, chosen, overrides, why=why, backend="llama-cpp")


def _is_gguf(file: RemoteFile) -> bool:
    return file.name.lower().endswith(".gguf")


def _projector(files: Sequence[RemoteFile]) -> RemoteFile | None:
    """The projector to take, of those there are."""
    found = [file for file in files if "mmproj" in PurePosixPath(file.name).name.lower()]

    def rank(file: RemoteFile) -> int:
        said = Build(name=PurePosixPath(file.name).name).quantisation.lower()
        return _PROJECTORS.index(said) if said in _PROJECTORS else len(_PROJECTORS)

    return min(found, key=rank, default=None)


def _add_ollama_texts(config: dict[str, Any], texts: Mapping[str, str]) -> None:
    """Take over what an Ollama model says; its template is the GGUF file's, in another language."""
    if texts.get("system"):
        config["system_prompt"] = texts["system"]
    try:
        said = json.loads(texts.get("params") or "{}")
    except ValueError:
        return
    if not isinstance(said, dict):
        return
    settings = model_settings(said)
    config["parameters"] |= settings.pop("parameters", {})
    config |= settings


def _of_folder(listing: Listing, name: str, overrides: Mapping[str, Any]) -> ModelPlan:
    """A model in the form of a folder, as transformers and its relatives have them."""
    files = listing.files
    if any(file.name.endswith(".safetensors") for file in files):
        files = tuple(file for file in files if not _is_copy(file.name))
    folder = _folder_name(name)
    moved = [replace(file, name=f"{folder}/{file.name}") for file in files]
    return _plan(listing, {"name": name, "parameters": {"model": folder}}, moved, overrides)


def _is_copy(name: str) -> bool:
    path = PurePosixPath(name)
    is_in_folder = bool(_FOLDERS_OF_COPIES & set(path.parts[:-1]))
    # sentence-transformers keeps weights of its own layers in folders such as 2_Dense
    return is_in_folder or (len(path.parts) == 1 and name.lower().endswith(_COPIES))


def _of_file(listing: Listing, name: str, overrides: Mapping[str, Any]) -> ModelPlan:
    models = [file for file in listing.files if file.name.lower().endswith(_ALONE)]
    if not models:
        raise _none(listing, "no model of a kind that is known here")
    if len(models) > 1:
        shown = [file.name for file in models[:_MOST_SHOWN]]
        more = ", ..." if len(models) > _MOST_SHOWN else ""
        raise InvalidRequest(
            f"{listing.uri} holds {len(models)} models.",
            param="uri",
            hint=f"Name the one you want behind it: {', '.join(shown)}{more}.",
        )
    base = PurePosixPath(models[0].name).name
    called = name.removesuffix(PurePosixPath(base).suffix)
    kept = [
        replace(file, name=PurePosixPath(file.name).name)
        for file in listing.files
        if file.name.startswith(models[0].name)  # a voice's description is NAME.onnx.json
    ]
    return _plan(listing, {"name": called, "parameters": {"model": base}}, kept, overrides)


def _none(listing: Listing, what: str) -> InvalidRequest:
    archive = next((file.name for file in listing.files if is_archive(file.name)), "")
    if archive:
        return InvalidRequest(
            f"{listing.uri} holds an archive ({archive}), and archives are not unpacked here.",
            param="uri",
            hint="Unpack it yourself, and put the model's files into the models folder.",
        )
    names = ", ".join(file.name for file in listing.files[:_MOST_SHOWN]) or "nothing"
    return InvalidRequest(
        f"{listing.uri} holds {what}: {names}.",
        param="uri",
        hint="GGUF files, folders of transformers, Whisper's ggml files and Piper's voices are known.",
    )


def _folder_name(name: str) -> str:
    return model_file_name(name).removesuffix(".yaml")


def _plan(
    listing: Listing, config: dict[str, Any], files: Sequence[RemoteFile],
    overrides: Mapping[str, Any], *, why: str = "", backend: str = "",
) -> ModelPlan:  # fmt: skip
    text = checked_yaml(over(config, overrides), f"Installed from {listing.uri}")
    return ModelPlan(
        name=config["name"],
        files=tuple(files),
        texts={model_file_name(config["name"]): text},
        uri=listing.uri,
        why=why,
        backend=backend,
    )
