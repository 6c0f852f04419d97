"""Sentence Transformers: embeddings and ranking. https://sbert.net (Apache-2.0)

Files     a folder with modules.json (a sentence transformer), or with config.json of an encoder,
          whose last states are averaged; a classifier with one label is a cross-encoder, and ranks.
          The weights are PyTorch's, or their ONNX or OpenVINO form (`runtime`, `file_name`)
Devices   cpu, cuda, cuda.N, mps (`main_gpu`); those of OpenVINO      Precision  that of the file;
          `dtype`, `f16`; on OpenVINO the fastest that the device computes in
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from threading import Lock
from typing import Any, Final, Self

import msgspec

from localai.domain.errors import (
    InvalidRequest,
    ModelFileInvalid,
    SpecInvalid,
    Unsupported,
)
from localai.domain.vectors import Embeddings, EmbedRequest, Ranking, RerankRequest
from localai.wire.messages import LoadRequest, ModelFacts
from localai.worker.batcher import Batcher
from localai.worker.hf.exported import (
    USUAL_ONNX,
    USUAL_OPENVINO,
    Exported,
    below_folder,
    first_of,
)
from localai.worker.hf.onnx_model import OnnxModel
from localai.worker.hf.openvino_model import PRECISIONS, OpenVinoModel
from localai.worker.hub import check_weights, failing_as, has_weights, model_folder, read_json
from localai.worker.options import read_options
from localai.worker.runtime import in_thread
from localai.worker.token_limits import Parts, TokenLimit, own_limit, positions
from localai.worker.torch_device import TorchDevice, TorchLanes, choose_device

_ENGINE: Final = "sentence-transformers"
_FIELDS: Final = ("type", "main_gpu", "cuda", "threads", "context_size", "f16", "dtype",
                  "embeddings", "reranking", "trust_remote_code")  # fmt: skip
_CROSS_ENCODER: Final = "CrossEncoder"
_TYPES: Final = ("SentenceTransformer", _CROSS_ENCODER)  # the library's classes
_DTYPES: Final = ("auto", "float32", "float16", "bfloat16")
_RUNTIMES: Final = ("torch", "onnx", "openvino")
_ENDINGS: Final = {".onnx": "onnx", ".xml": "openvino"}  # of exported forms, and who computes them
_CLASSIFIER: Final = "ForSequenceClassification"
_GENERATORS: Final = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")
_SLOTS: Final = 128  # requests at once: enough that a batch is full while the next one gathers
# Padded tokens of a batch. More than this in one go is no faster on a core, and what is shorter than
# the longest text costs as much as that; a GPU wants far more.
_BATCH_TOKENS: Final = {True: 384, False: 16_384}  # by whether the processor computes


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of a model on this engine.

    `type` is SentenceTransformer or CrossEncoder, told by the files where it is empty. `prompt` is
    a text, `prompt_name` the name of one that the model brings; either goes before every text.
    `truncate` cuts what is over `max_seq_length` instead of refusing it; ranking does unless told
    otherwise. `truncate_dim` keeps so many numbers of a vector. `batch_tokens` are the padded
    tokens computed in one go.
    """

    type: str = ""
    main_gpu: str = ""
    cuda: bool = False
    threads: int = 0
    context_size: int = 0
    f16: bool = False
    dtype: str = "auto"
    embeddings: bool = False
    reranking: bool = False
    trust_remote_code: bool = False
    download: bool = True
    revision: str = ""
    runtime: str = ""
    file_name: str = ""
    max_seq_length: int = 0
    truncate: bool | None = None
    normalize: bool = True
    truncate_dim: int = 0
    prompt: str = ""
    prompt_name: str = ""
    batch_tokens: int = 0


@dataclass(frozen=True, slots=True)
class _Input:
    """A text, or a pair of texts, for one batch. `tokens` is its size, guessed or counted."""

    text: str | Parts
    prompt: str
    tokens: int


class Backend:
    """A model of sentence-transformers, in batches over all requests."""

    def __init__(self, loaded: _Loaded) -> None:
        self._loaded = loaded
        work = loaded.score if loaded.ranks else loaded.embed
        self._batcher: Batcher[_Input, tuple[Any, int]] = Batcher(
            work, limit=loaded.batch_tokens, lanes=loaded.lanes.count, divide=loaded.lanes.divide
        )

    @classmethod
    async def load(cls, request: LoadRequest) -> Self:
        """Load the weights."""
        options = read_options(request, Options, _FIELDS)
        if options.type not in ("", *_TYPES):
            message = f"type is {options.type!r}; this engine has {' and '.join(_TYPES)}."
            raise SpecInvalid(message)
        if options.dtype not in _DTYPES:
            message = f"dtype is {options.dtype!r}; this engine has {', '.join(_DTYPES)}."
            raise SpecInvalid(message)
        if options.runtime not in ("", *_RUNTIMES):
            message = (
                f"options: runtime is {options.runtime!r}; this engine has {', '.join(_RUNTIMES)}."
            )
            raise SpecInvalid(message)
        return cls(await in_thread(_load, request, options))

    @property
    def facts(self) -> ModelFacts:
        """What is known of the model."""
        return self._loaded.facts

    async def close(self) -> None:
        """Free the weights, after the batch that is being computed."""
        await self._batcher.close()
        self._loaded.model = None
        gc.collect()

    async def embed(self, request: EmbedRequest) -> Embeddings:
        """One vector per input. What waits while the engine works is computed together."""
        if self._loaded.ranks:
            raise Unsupported(
                "This model is a cross-encoder: it scores pairs of texts, and makes no vectors.",
                feature="embed",
                hint="Use it with /v1/rerank, or embed with another model.",
            )
        loaded = self._loaded
        prompt = loaded.prompt(request.prompt_name)
        cuts = loaded.truncates if request.truncate is None else request.truncate
        texts = [loaded.tokens.text_of(one, at) for at, one in enumerate(request.inputs)]
        fitting = await loaded.tokens.fit(
            [(prompt + text,) for text in texts], cuts=cuts, param="input"
        )
        inputs = [_Input(parts[0][len(prompt) :], prompt, tokens) for parts, tokens in fitting]
        found = await self._batcher.submit(inputs, size=_size, group=prompt)
        return Embeddings(
            vectors=tuple(vector for vector, _ in found),
            prompt_tokens=sum(tokens for _, tokens in found),
        )

    async def rerank(self, request: RerankRequest) -> Ranking:
        """One score per document, as the model's own activation gives it."""
        if not self._loaded.ranks:
            raise Unsupported(
                "This model makes vectors, and scores no pairs of texts.",
                feature="rerank",
                hint="Ranking needs a cross-encoder, for example ms-marco-MiniLM-L6-v2.",
            )
        loaded = self._loaded
        prompt = loaded.prompt(None)
        fitting = await loaded.tokens.fit(
            [(prompt + request.query, document) for document in request.documents],
            cuts=loaded.truncates,
            param="documents",
        )
        inputs = [
            _Input((query[len(prompt) :], document), prompt, tokens)
            for (query, document), tokens in fitting
        ]
        found = await self._batcher.submit(inputs, size=_size)
        return Ranking(
            scores=tuple(score for score, _ in found),
            prompt_tokens=sum(tokens for _, tokens in found),
        )


class _Loaded:
    """A model and what it does with a batch; everything here blocks."""

    def __init__(self, model: Any, options: Options, device: TorchDevice, *, ranks: bool) -> None:
        self.model = model
        self.ranks = ranks
        self.truncates = ranks if options.truncate is None else options.truncate
        self.lanes = TorchLanes(device, stateless=not options.trust_remote_code)
        self.batch_tokens = options.batch_tokens or _BATCH_TOKENS[device.is_cpu]
        self.tokens = TokenLimit(self.tokenizer, _set_limit(model, options))
        self._options = options
        self._device = device
        self._tokenizing = Lock()  # a tokenizer fails when two threads cut and pad with it at once
        self.prompt(None)  # a default that is not there is an error of the model file
        self.facts = ModelFacts(context_size=self.tokens.limit, slots=_SLOTS, device=device.why)

    def prompt(self, name: str | None) -> str:
        """The text before each input. Raises InvalidRequest for a name the model does not have."""
        options, known = self._options, self.model.prompts
        if name is None and options.prompt:
            return options.prompt
        asked = name or options.prompt_name
        if asked and asked not in known:
            has = f"it has {', '.join(map(repr, known))}" if known else "it has none"
            message = f"This model has no prompt named {asked!r}; {has}."
            if name is None:
                raise SpecInvalid(f"options: prompt_name: {message}")
            raise InvalidRequest(message, param="prompt_name")
        return str(known.get(asked or self.model.default_prompt_name) or "")

    def embed(self, inputs: list[_Input]) -> list[tuple[bytes, int]]:
        """The vectors of a batch, float32, with the tokens of each."""
        import torch

        with torch.inference_mode():
            output, tokens = self._forward(inputs)
            vectors = output["sentence_embedding"].float()
            if self._options.truncate_dim:
                vectors = vectors[:, : self._options.truncate_dim]
            if self._options.normalize:
                vectors = torch.nn.functional.normalize(vectors, p=2, dim=1)
            rows = vectors.cpu().numpy().astype("<f4")
        return [(row.tobytes(), count) for row, count in zip(rows, tokens, strict=True)]

    def score(self, inputs: list[_Input]) -> list[tuple[float, int]]:
        """The scores of a batch of pairs, with the tokens of each."""
        import torch

        with torch.inference_mode():
            output, tokens = self._forward(inputs)
            scores = self.model.activation_fn(output["scores"].float()).reshape(-1).tolist()
        return list(zip(scores, tokens, strict=True))

    def _forward(self, inputs: list[_Input]) -> tuple[dict[str, Any], list[int]]:
        """What the model's modules make of a batch: the library's own steps, without its loop."""
        from sentence_transformers.util import batch_to_device

        texts = [item.text for item in inputs]
        with self._tokenizing:
            features = self.model.preprocess(texts, prompt=inputs[0].prompt or None)
        mask = features.get("attention_mask")
        tokens = [0] * len(inputs) if mask is None else mask.sum(dim=1).tolist()
        return self.model(batch_to_device(features, self.model.device)), tokens

    @property
    def tokenizer(self) -> Any:
        """The model's tokenizer, None for one that is not of transformers and has no limit."""
        tokenizer = self.model.tokenizer
        return tokenizer if hasattr(tokenizer, "model_max_length") else None


def _load(request: LoadRequest, options: Options) -> _Loaded:
    form, folder = _form(request, options)
    check_weights(folder, _ENGINE, also=tuple(_ENDINGS) if form.file else ())
    ranks = _is_cross_encoder(folder, options)
    import sentence_transformers
    import torch
    import transformers

    transformers.utils.logging.disable_progress_bar()
    if options.threads:
        torch.set_num_threads(options.threads)
    device = TorchDevice("cpu", "CPU")
    if form.runtime == "torch":
        device = choose_device(torch, wanted=options.main_gpu, needs_cuda=options.cuda)
    kind = getattr(sentence_transformers, _TYPES[ranks])
    with failing_as(f"{_ENGINE} cannot load {folder}"), _made(form, options) as exported:
        model = kind(
            str(folder),
            device=device.name,
            local_files_only=True,
            trust_remote_code=options.trust_remote_code,
            model_kwargs={"dtype": _dtype(options, device) if form.runtime == "torch" else "auto"},
        )
    model.eval()
    for one in exported:
        device = TorchDevice("cpu", one.device_sentence)
    if ranks and model.num_labels != 1:
        raise ModelFileInvalid(
            f"{folder} sorts texts into {model.num_labels} classes; a model that ranks has one label.",
            path=str(folder),
            hint="Use a cross-encoder that was trained to rank.",
        )
    return _Loaded(model, options, device, ranks=ranks)


@dataclass(frozen=True, slots=True)
class _Form:
    """What computes a model, and of which file; None means the weights of PyTorch."""

    runtime: str
    file: Path | None = None


def _form(request: LoadRequest, options: Options) -> tuple[_Form, Path]:
    """The form of the model that is wanted, and its folder. Raises SpecInvalid, ModelFileInvalid."""
    asked = _asked_files(options)
    weights, beside = _weights_of(asked)
    folder_of = partial(model_folder, request, download=options.download, revision=options.revision)
    folder = folder_of(weights=weights, beside=beside)
    found = first_of(folder, asked)
    if found is None and options.runtime == "openvino" and not options.file_name:
        if not has_weights(folder):  # the repository has no such form, but others
            folder = folder_of()
        return _Form("openvino"), folder
    if found is None and asked:
        raise ModelFileInvalid(
            f"{folder} has no {' and no '.join(asked)}.",
            path=str(folder),
            hint="`file_name:NAME` in `options` names another file of the folder.",
        )
    if found is None and options.runtime != "torch" and not has_weights(folder):
        found = first_of(folder, (*USUAL_ONNX, *USUAL_OPENVINO))
    if found is None:
        return _Form("torch"), folder
    runtime = options.runtime or _ENDINGS[found.suffix]
    if runtime == "onnx" and (options.main_gpu not in ("", "cpu") or options.cuda):
        message = f"main_gpu is {options.main_gpu or 'cuda'!r}; ONNX models compute on the CPU."
        raise SpecInvalid(message, hint="`runtime:torch` in `options` uses the other weights.")
    return _Form(runtime, found), folder


def _asked_files(options: Options) -> Sequence[str]:
    """The exported files of which the model file wants one; none when it leaves that to the files."""
    if options.runtime == "torch":
        return ()
    if options.file_name:
        name = below_folder(options.file_name)
        reader = _ENDINGS.get(PurePosixPath(name).suffix)
        if reader is None or (options.runtime == "onnx" and reader != "onnx"):
            known = ".onnx" if options.runtime == "onnx" else " or ".join(_ENDINGS)
            message = f"options: file_name is {name!r}; it must end in {known}."
            raise SpecInvalid(message)
        return (name,)
    return {"onnx": USUAL_ONNX, "openvino": USUAL_OPENVINO}.get(options.runtime, ())


def _weights_of(files: Sequence[str]) -> tuple[list[str], list[str]]:
    """Which of these files hold weights, and what belongs to them: OpenVINO keeps them beside."""
    weights = [name.removesuffix(".xml") + ".bin" if name.endswith(".xml") else name for name in files]  # fmt: skip
    return weights, [name for name in files if name.endswith(".xml")]


@contextmanager
def _made(form: _Form, options: Options) -> Iterator[list[Exported]]:
    """Let the library make its model of an exported form; the list has it then.

    Its own way of doing that wants Optimum, which wants an older transformers.
    """
    from sentence_transformers.base.modules.transformer import Transformer

    made: list[Exported] = []
    if form.runtime == "torch":
        yield made
        return
    own = Transformer._load_model  # noqa: SLF001 - it has no other place for it

    def load(self: Any, name: str, task: str, config: Any, *more: Any, **fields: Any) -> Exported:
        made.append(_exported(form, options, config, lambda: own(self, name, task, config, *more, **fields)))  # fmt: skip
        return made[-1]

    Transformer._load_model = load  # noqa: SLF001 - as above
    try:
        yield made
    finally:
        Transformer._load_model = own  # noqa: SLF001 - as above


def _exported(form: _Form, options: Options, config: Any, weights: Callable[[], Any]) -> Exported:
    """The exported form of a model; `weights` loads PyTorch's, where they have to be converted."""
    import torch

    threads = torch.get_num_threads()
    if form.runtime == "onnx":
        assert form.file is not None
        return OnnxModel(form.file, config, threads=threads)
    return OpenVinoModel(
        form.file or weights().eval(),
        config,
        device=options.main_gpu or ("cuda" if options.cuda else ""),
        threads=threads,
        precision=PRECISIONS.get(options.dtype, ""),
    )


def _is_cross_encoder(folder: Path, options: Options) -> bool:
    """Whether the model ranks: as its file says, or else as its files do. Raises ModelFileInvalid."""
    if options.type or options.reranking or options.embeddings:
        return options.type == _CROSS_ENCODER or (options.reranking and not options.type)
    told = read_json(folder / "config_sentence_transformers.json").get("model_type")
    if told in _TYPES:
        return bool(told == _CROSS_ENCODER)
    if (folder / "modules.json").is_file():
        return False
    architecture = str((read_json(folder / "config.json").get("architectures") or [""])[0])
    if architecture.endswith(_GENERATORS):
        raise ModelFileInvalid(
            f"{folder} is a {architecture}, which generates text.",
            path=str(folder),
            hint="Say `backend: transformers`; or `type: SentenceTransformer` to average its states.",
        )
    return architecture.endswith(_CLASSIFIER)


def _dtype(options: Options, device: TorchDevice) -> str:
    if options.dtype != "auto" or not options.f16:
        return options.dtype
    return "bfloat16" if device.is_cpu else "float16"


def _set_limit(model: Any, options: Options) -> int:
    """Set how many tokens a text may have; gives the limit. Raises SpecInvalid over what it can."""
    own, trained = own_limit(model.max_seq_length), positions(getattr(model, "config", None))
    asked = options.max_seq_length
    if asked > trained:
        message = f"options: max_seq_length is {asked}; this model has {trained} positions."
        raise SpecInvalid(message)
    limit = min(asked or min(options.context_size or own, own), trained)
    if limit != own:
        model.max_seq_length = limit
    return limit


def _size(item: _Input) -> int:
    return item.tokens
