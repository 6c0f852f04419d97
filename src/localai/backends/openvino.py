"""OpenVINO: text and vectors on Intel's hardware. https://github.com/huggingface/optimum-intel (Apache-2.0)

Type      OVModelForCausalLM (text), OVModelForFeatureExtraction (vectors); the files tell where it is empty
Files     a folder with openvino_model.xml, or with PyTorch's weights, which each load converts
Devices   CPU, GPU, GPU.1, NPU, AUTO, AUTO:-CPU, MULTI:GPU,CPU, HETERO:GPU,CPU (`main_gpu`)
Precision the fastest that the device computes in, or `precision`
"""

from __future__ import annotations

import copy
import os
import queue
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import msgspec

from localai.domain.errors import SpecInvalid
from localai.wire.functions import function_settings
from localai.wire.messages import LoadRequest, ModelFacts
from localai.worker.hf.text_or_vectors import TextOrVectors, embedding, writing
from localai.worker.hub import check_weights, failing_as, model_folder, read_json
from localai.worker.openvino_device import OpenVinoDevice, choose_device
from localai.worker.options import read_options
from localai.worker.runtime import in_thread

if TYPE_CHECKING:
    from localai.worker.hf.encoder import Encoder
    from localai.worker.hf.text_model import TextModel

_FIELDS: Final = ("type", "quantization", "main_gpu", "threads", "context_size", "f16",
                  "embeddings", "trust_remote_code")  # fmt: skip
_TEXT, _VECTORS = "OVModelForCausalLM", "OVModelForFeatureExtraction"
_BITS: Final = {"bnb_8bit": 8, "bnb_4bit": 4, "xpu_8bit": 8, "xpu_4bit": 4}
_PRECISIONS: Final = ("", "f32", "f16", "bf16")
_GENERATORS: Final = ("ForCausalLM", "LMHeadModel")
_MODEL: Final = "openvino_model.xml"
_FOLDER: Final = "openvino"  # below a model's own, where others keep the converted form as well
_SKIPPED: Final = ("*.onnx*", "*.h5", "*.msgpack", "*.ot", "*.gguf", "coreml/*")  # of downloads
_BATCH_TOKENS: Final = 1024  # padded


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of a model on this engine.

    `parallel` is how many answers are computed side by side. `precision` is f32, f16 or bf16; f16 of
    the model file needs nothing, for OpenVINO halves the precision by itself where that is faster.
    `keep_export` writes the converted form into the folder `openvino` beside the weights, so that the
    next load is quick. `quantization` makes the weights smaller when they are converted.
    """

    type: str = ""
    quantization: str = ""
    main_gpu: str = ""
    threads: int = 0
    context_size: int = 0
    f16: bool = False
    embeddings: bool = False
    trust_remote_code: bool = False
    download: bool = True
    revision: str = ""
    parallel: int = 2
    precision: str = ""
    keep_export: bool = False
    truncate: bool = False
    batch_tokens: int = _BATCH_TOKENS


class Backend(TextOrVectors):
    """A model on OpenVINO: one that writes, or one that embeds."""

    to_write = f"Set `type: {_TEXT}` in its model file."
    to_embed = f"Set `type: {_VECTORS}` in its model file."

    @classmethod
    async def load(cls, request: LoadRequest) -> Self:
        """Load the model, converted where it has to be."""
        options = read_options(request, Options, _FIELDS)
        for name, known in (
            ("type", ("", _TEXT, _VECTORS)),
            ("quantization", ("", *_BITS)),
            ("precision", _PRECISIONS),
        ):
            if (told := getattr(options, name)) not in known:
                message = f"{name} is {told!r}; this engine has {', '.join(filter(None, known))}."
                raise SpecInvalid(message)
        facts, text, encoder = await in_thread(_load, request, options)
        return cls(facts, text=text, encoder=encoder)


class _Twins:
    """A model as often as answers are computed side by side: the weights once, a state each."""

    def __init__(self, model: Any, count: int) -> None:
        self._model = model
        self._free: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._free.put(model)
        compiled = model.request.get_compiled_model()
        for _ in range(count - 1):
            twin = copy.copy(model)
            twin.request = compiled.create_infer_request()
            self._free.put(twin)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def generate(self, **fields: Any) -> Any:
        """What the model's own method does, on one that is free."""
        twin = self._free.get()
        try:
            return twin.generate(**fields)
        finally:
            self._free.put(twin)


def _load(
    request: LoadRequest, options: Options
) -> tuple[ModelFacts, TextModel | None, Encoder | None]:
    folder = model_folder(
        request, download=options.download, revision=options.revision, skipped=_SKIPPED
    )
    made = next((at for at in (folder, folder / _FOLDER) if (at / _MODEL).is_file()), None)
    if made is None:
        check_weights(folder, "OpenVINO")
    generates = _generates(folder, options)
    import openvino
    import optimum.intel
    import transformers

    from localai.worker.hf.encoder import pooling_of

    pooling = "" if generates else pooling_of(folder)
    transformers.utils.logging.disable_progress_bar()
    device = choose_device(openvino.Core(), options.main_gpu)
    model_class = getattr(optimum.intel, _TEXT if generates else _VECTORS)
    trusted = {"trust_remote_code": options.trust_remote_code, "local_files_only": True}
    with failing_as(f"OpenVINO cannot load {folder}"):
        config = transformers.AutoConfig.from_pretrained(folder, **trusted)
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **trusted)
        model = model_class.from_pretrained(
            str(made or folder),
            config=config,
            export=made is None,
            device=device.name,
            ov_config=_engine_settings(options, device),
            **({} if made else _smaller(options, optimum.intel)),
            **trusted,
        )
        if options.keep_export and made is None:
            _keep(model, folder / _FOLDER)
        model.compile()
    warnings = []
    if options.quantization and made is not None:
        warnings.append(f"{made} is converted already, so `quantization` changes nothing.")
    facts = ModelFacts(device=device.said(model.request), warnings=warnings)
    if generates:
        functions = function_settings(request.settings)
        known, text = writing(_Twins(model, options.parallel), tokenizer, facts, functions, options)
        return known, text, None
    known, encoder = embedding(
        model, tokenizer, facts, options, pooling=pooling, batch_tokens=options.batch_tokens
    )
    return known, None, encoder


def _generates(folder: Path, options: Options) -> bool:
    """Whether the model writes: as its file says, or else as its files do."""
    if options.type:
        return options.type == _TEXT
    if options.embeddings or (folder / "modules.json").is_file():
        return False
    architecture = str((read_json(folder / "config.json").get("architectures") or [""])[0])
    return architecture.endswith(_GENERATORS)


def _engine_settings(options: Options, device: OpenVinoDevice) -> dict[str, str]:
    settings = {}
    if options.threads and device.name == "CPU":
        settings["INFERENCE_NUM_THREADS"] = str(options.threads)
    if options.precision:
        settings["INFERENCE_PRECISION_HINT"] = options.precision
    return settings


def _smaller(options: Options, intel: Any) -> dict[str, Any]:
    if not options.quantization:
        return {"load_in_8bit": False}  # the library's own choice for large models
    bits = _BITS[options.quantization]
    fallback = {"group_size_fallback": "adjust"} if bits == 4 else {}  # noqa: PLR2004 - 8 have none
    config = intel.OVWeightQuantizationConfig(bits=bits, sym=False, **fallback)
    return {"quantization_config": config}


def _keep(model: Any, place: Path) -> None:
    """Write the converted form, whole or not at all. Raises OSError."""
    new = place.with_name(f".{place.name}-{os.getpid()}")
    try:
        model.save_pretrained(new)
        new.replace(place)
    finally:
        shutil.rmtree(new, ignore_errors=True)
