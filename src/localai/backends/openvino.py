"""OpenVINO: text and vectors on Intel's hardware. https://github.com/huggingface/optimum-intel (Apache-2.0)

Type      OVModelForCausalLM (text), OVModelForFeatureExtraction (vectors); the files tell where it is empty
Files     a folder with openvino_model.xml, or with PyTorch's weights, which each load converts
Devices   CPU, GPU, GPU.1, NPU, AUTO, AUTO:-CPU, MULTI:GPU,CPU, HETERO:GPU,CPU (`main_gpu`)
Precision the fastest that the device computes in, or `precision`
"""

from __future__ import annotations

import copy
import gc
import os
import queue
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import msgspec

from localai.domain.errors import SpecInvalid, StartFailed, Unsupported
from localai.domain.vectors import (
    DetokenizeRequest,
    Embeddings,
    EmbedRequest,
    PlainAnswer,
    TokenCount,
    TokenizeRequest,
    Tokens,
)
from localai.wire.functions import FunctionSettings, function_settings
from localai.wire.messages import LoadRequest, ModelFacts
from localai.worker.batcher import Batcher
from localai.worker.hub import check_weights, failing_as, model_folder, read_json
from localai.worker.openvino_device import OpenVinoDevice, choose_device
from localai.worker.options import read_options
from localai.worker.runtime import in_thread
from localai.worker.token_limits import TokenLimit, own_limit, positions

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from localai.domain.events import Event
    from localai.domain.generation import GenerationRequest
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
_SLOTS: Final = 128  # embedding requests at once
_BATCH_TOKENS: Final = 1024  # padded
_CONTEXT_UNKNOWN: Final = 4096


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


class Backend:
    """A model on OpenVINO: one that writes, or one that embeds."""

    def __init__(self, loaded: _Loaded, functions: FunctionSettings) -> None:
        self._loaded = loaded
        self._text: TextModel | None = None
        self._batcher: Batcher[tuple[str, int], tuple[bytes, int]] | None = None
        if isinstance(loaded, _Encoder):
            self._batcher = Batcher(loaded.embed, limit=loaded.batch_tokens)
            return
        from localai.worker.hf.text_model import TextModel

        self._text = TextModel(
            loaded.model,
            loaded.tokenizer,
            context_size=loaded.facts.context_size,
            slots=loaded.facts.slots,
            functions=functions,
        )

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
        loaded = await in_thread(_load, request, options)
        return cls(loaded, function_settings(request.settings))

    @property
    def facts(self) -> ModelFacts:
        """What is known of the model."""
        return self._loaded.facts

    async def close(self) -> None:
        """Free the weights, after what is being computed."""
        if self._batcher is not None:
            await self._batcher.close()
        self._text = None
        self._loaded.model = None
        gc.collect()

    def generate(self, request: GenerationRequest) -> AsyncGenerator[Sequence[Event], None]:
        """Answer as events."""
        return self._writer().generate(request)

    async def count(self, request: GenerationRequest) -> TokenCount:
        """The size of the prompt."""
        return await self._writer().count(request)

    async def tokenize(self, request: TokenizeRequest) -> Tokens:
        """The token ids of a text."""
        return await self._writer().tokenize(request)

    async def detokenize(self, request: DetokenizeRequest) -> PlainAnswer:
        """The text of token ids."""
        return await self._writer().detokenize(request)

    async def embed(self, request: EmbedRequest) -> Embeddings:
        """One L2-normalized vector per input, pooled as the model's files say, else the mean."""
        encoder = self._loaded
        if self._batcher is None or not isinstance(encoder, _Encoder):
            raise Unsupported(
                "This model was loaded to generate text.",
                feature="embed",
                hint=f"Set `type: {_VECTORS}` in its model file.",
            )
        if request.prompt_name:
            raise Unsupported(
                "This engine has no prompts by name.",
                feature="prompt_name",
                hint="Put the prompt before the text, or use the backend sentencetransformers.",
                param="prompt_name",
            )
        cuts = encoder.truncates if request.truncate is None else request.truncate
        texts = [encoder.tokens.text_of(one, at) for at, one in enumerate(request.inputs)]
        fitting = await encoder.tokens.fit([(text,) for text in texts], cuts=cuts, param="input")
        inputs = [(parts[0], tokens) for parts, tokens in fitting]
        found = await self._batcher.submit(inputs, size=lambda one: one[1])
        return Embeddings(
            vectors=tuple(vector for vector, _ in found),
            prompt_tokens=sum(tokens for _, tokens in found),
        )

    def _writer(self) -> TextModel:
        if self._text is None:
            raise Unsupported(
                "This model was loaded for embeddings.",
                feature="generate",
                hint=f"Set `type: {_TEXT}` in its model file.",
            )
        return self._text


@dataclass(slots=True)
class _Loaded:
    """A model with its tokenizer."""

    model: Any
    tokenizer: Any
    facts: ModelFacts


@dataclass(slots=True)
class _Encoder(_Loaded):
    """A model that embeds; `pooling` is cls, mean or lasttoken."""

    tokens: TokenLimit
    pooling: str
    truncates: bool
    batch_tokens: int

    def embed(self, inputs: list[tuple[str, int]]) -> list[tuple[bytes, int]]:
        """The vectors of a batch, float32, with the tokens of each."""
        import torch

        features = self.tokenizer(
            [text for text, _ in inputs],
            padding=True,
            truncation=True,
            max_length=self.tokens.limit,
            return_tensors="pt",
        )
        states = torch.as_tensor(self.model(**features).last_hidden_state).float()
        vectors = _pool(torch, states, features["attention_mask"], self.pooling)
        rows = torch.nn.functional.normalize(vectors, p=2, dim=1).numpy().astype("<f4")
        counts = features["attention_mask"].sum(dim=1).tolist()
        return [(row.tobytes(), count) for row, count in zip(rows, counts, strict=True)]


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


def _load(request: LoadRequest, options: Options) -> _Loaded:
    folder = model_folder(
        request, download=options.download, revision=options.revision, skipped=_SKIPPED
    )
    made = next((at for at in (folder, folder / _FOLDER) if (at / _MODEL).is_file()), None)
    if made is None:
        check_weights(folder, "OpenVINO")
    generates = _generates(folder, options)
    pooling = "" if generates else _pooling(folder)
    import openvino
    import optimum.intel
    import transformers

    transformers.utils.logging.disable_progress_bar()
    device = choose_device(openvino.Core(), options.main_gpu)
    kind = getattr(optimum.intel, _TEXT if generates else _VECTORS)
    trusted = {"trust_remote_code": options.trust_remote_code, "local_files_only": True}
    with failing_as(f"OpenVINO cannot load {folder}"):
        config = transformers.AutoConfig.from_pretrained(folder, **trusted)
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **trusted)
        model = kind.from_pretrained(
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
        return _writer(model, tokenizer, facts, config, options)
    return _encoder(model, tokenizer, facts, config, options, pooling)


def _writer(
    model: Any, tokenizer: Any, facts: ModelFacts, config: Any, options: Options
) -> _Loaded:
    trained = int(getattr(config.get_text_config(), "max_position_embeddings", 0) or 0)
    asked = max(0, options.context_size)
    known = msgspec.structs.replace(
        facts,
        context_size=min(asked or trained, trained or asked) or _CONTEXT_UNKNOWN,
        slots=options.parallel,
        has_chat_template=bool(getattr(tokenizer, "chat_template", None)),
    )
    return _Loaded(_Twins(model, options.parallel), tokenizer, known)


def _encoder(
    model: Any, tokenizer: Any, facts: ModelFacts, config: Any, options: Options, pooling: str
) -> _Loaded:
    own = min(own_limit(tokenizer.model_max_length), positions(config))
    limit = min(options.context_size if options.context_size > 0 else own, own)
    return _Encoder(
        model,
        tokenizer,
        msgspec.structs.replace(facts, context_size=limit, slots=_SLOTS),
        tokens=TokenLimit(tokenizer, limit),
        pooling=pooling,
        truncates=options.truncate,
        batch_tokens=options.batch_tokens,
    )


def _generates(folder: Path, options: Options) -> bool:
    """Whether the model writes: as its file says, or else as its files do."""
    if options.type:
        return options.type == _TEXT
    if options.embeddings or (folder / "modules.json").is_file():
        return False
    architecture = str((read_json(folder / "config.json").get("architectures") or [""])[0])
    return architecture.endswith(_GENERATORS)


def _pooling(folder: Path) -> str:
    """How the states of a text become its vector. Raises StartFailed for a way not known here."""
    told = read_json(folder / "1_Pooling" / "config.json")
    ways = [name for name, is_on in told.items() if name.startswith("pooling_mode_") and is_on]
    ways = ways or [str(told.get("pooling_mode") or "mean")]
    found = ways[0].removeprefix("pooling_mode_").removesuffix("_tokens").removesuffix("_token")
    found = "lasttoken" if found == "last" else found
    if len(ways) > 1 or found not in {"cls", "mean", "lasttoken"}:
        raise StartFailed(
            f"{folder} joins the states of a text by {' and '.join(ways)}, which is not known here.",
            hint="Use the backend sentencetransformers.",
        )
    return found


def _pool(torch: Any, states: Any, mask: Any, way: str) -> Any:
    """Vectors of shape (texts, width) from states of shape (texts, tokens, width)."""
    if way == "cls":
        return states[:, 0]
    if way == "lasttoken":
        last = mask.shape[1] - 1 - mask.flip(1).argmax(dim=1)
        return states[torch.arange(len(states)), last]
    weights = mask.unsqueeze(-1).float()
    return (states * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1.0)


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
