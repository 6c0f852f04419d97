"""Folders of the Hugging Face kind: the one a model file means, and what is in it."""

from __future__ import annotations

import json
import os
import re
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from localai.domain.errors import ModelFileInvalid, StartFailed
from localai.worker.device_errors import out_of_memory

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from localai.wire.messages import LoadRequest

_REPOSITORY: Final = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_GGUF: Final = b"GGUF"
_WEIGHTS: Final = (".safetensors", ".bin", ".pt", ".pth")
# What other engines read; a download leaves it out.
_OF_OTHERS: Final = ["*.onnx*", "openvino/*", "*.h5", "*.msgpack", "*.ot", "*.gguf", "coreml/*"]
# What a model is besides its weights: descriptions, words, and the modules after its encoder.
_AROUND: Final = ["*.json", "*.txt", "*.model", "[0-9]_*/*"]


def model_folder(
    request: LoadRequest,
    *,
    download: bool = True,
    revision: str = "",
    skipped: Sequence[str] = _OF_OTHERS,
    weights: Sequence[str] = (),
    beside: Sequence[str] = (),
) -> Path:
    """The folder of a model: in the models folder, or of a repository of the Hugging Face hub.

    A repository that the hub's own cache on this machine holds is used from there, without asking
    anybody; else it is fetched, unless `download` is off, without the files that match `skipped`.
    Whoever names a folder stays offline: call it before the engine is imported, which reads that
    once. `weights` are the files of another form of them, one of which is wanted instead of PyTorch's,
    `beside` what belongs to those. Raises ModelFileInvalid.
    """
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    path = Path(request.model_path)
    is_repository = not path.exists() and _REPOSITORY.fullmatch(request.model_id) is not None
    if not (is_repository and download):
        os.environ["HF_HUB_OFFLINE"] = "1"
    if path.is_dir():
        return path
    if path.is_file():
        raise _no_folder(path)
    if not is_repository:
        raise ModelFileInvalid(
            f"The weights of the model {request.model!r} are not there: {path}.",
            path=str(path),
            hint="Put the folder there, or name a repository of the Hugging Face hub as OWNER/NAME.",
        )
    wanted: dict[str, Any] = {"revision": revision or None, "ignore_patterns": list(skipped)}
    if weights:
        wanted |= {"ignore_patterns": None, "allow_patterns": [*_AROUND, *weights, *beside]}
    return _of_repository(request.model_id, wanted, weights, download=download)


def _of_repository(
    name: str, wanted: dict[str, Any], weights: Sequence[str], *, download: bool
) -> Path:
    from huggingface_hub import snapshot_download

    with suppress(OSError, ValueError):  # nothing in the cache
        found = Path(snapshot_download(name, local_files_only=True, **wanted))
        if not download or _is_whole(found, weights):
            return found
    if not download:
        raise ModelFileInvalid(
            f"{name} is neither a folder in the models folder nor in the cache of the Hugging Face hub.",
            path=name,
            hint=f"Fetch it with `hf download {name}`, or take `download:false` from the model file.",
        )
    try:
        return Path(snapshot_download(name, **wanted))
    except (OSError, ValueError) as error:  # of the network or of the hub
        lines = str(error).strip().splitlines()
        raise ModelFileInvalid(
            f"{name} is no folder in the models folder, and cannot be fetched from the Hugging Face "
            f"hub: {lines[0] if lines else type(error).__name__}",
            path=name,
            hint="Look at the name and at the network; a repository that is not public needs HF_TOKEN "
            "in the server's environment.",
        ) from error


def _is_whole(folder: Path, weights: Sequence[str]) -> bool:
    """Whether a folder of the cache has a model; one whose download stopped has only small files."""
    if weights:
        return any((folder / name).is_file() for name in weights)
    found = _entries(folder)
    return (folder / "config.json").is_file() and any(
        entry.suffix in _WEIGHTS or entry.name == "openvino_model.bin" for entry in found
    )


def _no_folder(path: Path) -> ModelFileInvalid:
    with suppress(OSError), path.open("rb") as stream:
        if stream.read(len(_GGUF)) == _GGUF:
            return ModelFileInvalid(
                f"{path} is a GGUF file, which this engine does not read.",
                path=str(path),
                hint="Leave `backend` out, or say `backend: llama-cpp`.",
            )
    return ModelFileInvalid(
        f"{path} is a file; this engine wants a folder with config.json and the weights.",
        path=str(path),
        hint="Name the folder as `parameters.model`.",
    )


def has_weights(folder: Path) -> bool:
    """Whether `folder` holds weights that PyTorch could load."""
    return any(map(_is_weights, _entries(folder)))


def _is_weights(entry: Path) -> bool:
    """Whether PyTorch could load it; OpenVINO calls its own numbers .bin, too."""
    if entry.suffix not in _WEIGHTS:
        return False
    return entry.suffix != ".bin" or not entry.with_suffix(".xml").exists()


def _entries(folder: Path) -> list[Path]:
    return [entry for pattern in ("*", "*/*") for entry in folder.glob(pattern)]


def check_weights(folder: Path, engine: str, *, also: Sequence[str] = ()) -> None:
    """Raise ModelFileInvalid when `folder` holds no model that PyTorch could load.

    `also` are the endings of other forms of weights that will do.
    """
    found = _entries(folder)
    if not any((folder / name).is_file() for name in ("config.json", "modules.json")):
        raise ModelFileInvalid(
            f"{folder} has neither config.json nor modules.json, so it is no model of {engine}.",
            path=str(folder),
            hint=_meant(found),
        )
    if not any(_is_weights(entry) or entry.suffix in also for entry in found):
        raise ModelFileInvalid(
            f"{folder} has no weights that {engine} can load: no .safetensors, no .bin.",
            path=str(folder),
            hint=_meant(found) or "Its download may have stopped: fetch the folder again.",
        )


def _meant(found: list[Path]) -> str:
    """What to do with a folder whose files are another engine's."""
    suffixes = {entry.suffix for entry in found}
    if ".gguf" in suffixes:
        return "It has GGUF files: name one of them as `parameters.model`, for llama-cpp."
    if suffixes & {".onnx", ".xml"}:
        return "It has only an exported form (ONNX or OpenVINO); this engine needs the original weights."
    return ""


@contextmanager
def failing_as(what: str) -> Iterator[None]:
    """Turn what a library raises over a folder into StartFailed; `what` names library and folder.

    Raises OutOfMemory where the GPU has no room for the weights.
    """
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError) as error:
        known = out_of_memory(error, what)
        if known is not None:
            raise known from error
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise StartFailed(
            f"{what}: {lines[0] if lines else type(error).__name__}",
            hint="The model brings code of its own; `trust_remote_code: true` in its file runs it."
            if "trust_remote_code" in str(error)
            else "",
        ) from error


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object in a file; an empty one when there is none."""
    with suppress(OSError, ValueError, RecursionError):
        value = json.loads(path.read_bytes())
        return value if isinstance(value, dict) else {}
    return {}
