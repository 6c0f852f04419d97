"""Transformers: any PyTorch model that the library has. https://huggingface.co/docs/transformers (Apache-2.0)

Type      AutoModelForCausalLM (text), AutoModel (vectors), or the name of any class of the library
Files     a folder with config.json and weights, or the name of a repository on the Hugging Face hub
Devices   cpu, cuda, cuda.N (`main_gpu`)        Precision  that of the file; `f16: true` is bfloat16
"""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any, Self

import msgspec

from localai.domain.errors import SpecInvalid, Unsupported
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
from localai.worker.hub import check_weights, failing_as, model_folder
from localai.worker.options import read_options
from localai.worker.runtime import in_thread
from localai.worker.token_limits import text_limit
from localai.worker.torch_device import choose_device

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from localai.domain.events import Event
    from localai.domain.generation import GenerationRequest
    from localai.worker.hf.encoder import Encoder
    from localai.worker.hf.text_model import TextModel

_BITS = {"bnb_8bit": 8, "bnb_4bit": 4, "xpu_8bit": 8, "xpu_4bit": 4}
_FIELDS = ("type", "quantization", "main_gpu", "threads", "context_size", "f16", "embeddings",
           "cuda", "trust_remote_code")  # fmt: skip
_SHORT_TYPES = {"Mamba": "MambaForCausalLM"}
_BATCH_TOKENS = {True: 512, False: 16_384}  # padded, by whether the processor computes
_CAUSAL = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of a model on this engine.

    `parallel` is how many answers are computed side by side; each takes its own memory. `truncate`
    cuts texts to embed that are too long; `batch_tokens` are the padded tokens embedded in one go.
    """

    type: str = ""
    quantization: str = ""
    main_gpu: str = ""
    threads: int = 0
    context_size: int = 0
    f16: bool = False
    embeddings: bool = False
    cuda: bool = False
    trust_remote_code: bool = False
    parallel: int = 2
    download: bool = True
    revision: str = ""
    truncate: bool = False
    batch_tokens: int = 0


class Backend:
    """A model of transformers on PyTorch."""

    def __init__(
        self, facts: ModelFacts, *, text: TextModel | None = None, encoder: Encoder | None = None
    ) -> None:
        self._facts = facts
        self._text = text
        self._encoder = encoder

    @classmethod
    async def load(cls, request: LoadRequest) -> Self:
        """Load the weights."""
        options = read_options(request, Options, _FIELDS)
        if options.quantization and options.quantization not in _BITS:
            message = (
                f"quantization is {options.quantization!r}; this engine has {', '.join(_BITS)}."
            )
            raise SpecInvalid(message)
        facts, text, encoder = await in_thread(_load, request, options)
        return cls(facts, text=text, encoder=encoder)

    @property
    def facts(self) -> ModelFacts:
        """What is known of the model."""
        return self._facts

    async def close(self) -> None:
        """Free the weights, after what is being computed."""
        if self._encoder is not None:
            await self._encoder.close()
        self._text = self._encoder = None
        gc.collect()

    def generate(self, request: GenerationRequest) -> AsyncGenerator[Sequence[Event], None]:
        """Answer as events."""
        return self._generator().generate(request)

    async def count(self, request: GenerationRequest) -> TokenCount:
        """The size of the prompt."""
        return await self._generator().count(request)

    async def tokenize(self, request: TokenizeRequest) -> Tokens:
        """The token ids of a text."""
        return await self._generator().tokenize(request)

    async def detokenize(self, request: DetokenizeRequest) -> PlainAnswer:
        """The text of token ids."""
        return await self._generator().detokenize(request)

    async def embed(self, request: EmbedRequest) -> Embeddings:
        """One L2-normalized vector per input, pooled as the model's files say, else the mean."""
        if self._encoder is None:
            raise Unsupported(
                "This model was loaded to generate text.",
                feature="embed",
                hint="Set `embeddings: true` in its model file.",
            )
        return await self._encoder.embed(request)

    def _generator(self) -> TextModel:
        if self._text is None:
            raise Unsupported(
                "This model was loaded for embeddings.",
                feature="generate",
                hint="Leave `embeddings` out of its model file, and set `type: AutoModelForCausalLM`.",
            )
        return self._text


def _load(
    request: LoadRequest, options: Options
) -> tuple[ModelFacts, TextModel | None, Encoder | None]:
    folder = model_folder(request, download=options.download, revision=options.revision)
    check_weights(folder, "transformers")
    import torch
    import transformers

    from localai.worker.hf.encoder import pooling_of

    transformers.utils.logging.disable_progress_bar()
    if options.threads:
        torch.set_num_threads(options.threads)
    device = choose_device(torch, wanted=options.main_gpu, needs_cuda=options.cuda)
    trusted = {"trust_remote_code": options.trust_remote_code, "local_files_only": True}
    warnings: list[str] = []
    with failing_as(f"transformers cannot load {folder}"):
        config = transformers.AutoConfig.from_pretrained(folder, **trusted)
        model_class, generates = _model_class(transformers, options, config)
        pooling = "" if generates else pooling_of(folder)
        model = model_class.from_pretrained(
            folder,
            dtype=torch.bfloat16 if options.f16 else "auto",
            device_map=device.name,
            **_quantized(options, transformers, torch, warnings),
            **trusted,
        ).eval()
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **trusted)
    facts = ModelFacts(device=device.why, warnings=warnings)
    if generates:
        functions = function_settings(request.settings)
        known, text = _writing(model, tokenizer, facts, functions, options)
        return known, text, None
    known, encoder = _embedding(model, tokenizer, facts, pooling, options)
    return known, None, encoder


def _writing(
    model: Any, tokenizer: Any, facts: ModelFacts, functions: FunctionSettings, options: Options
) -> tuple[ModelFacts, TextModel]:
    from localai.worker.hf.text_model import TextModel, context_size_of

    size = context_size_of(model.config, options.context_size)
    known = msgspec.structs.replace(
        facts,
        context_size=size,
        slots=options.parallel,
        has_chat_template=bool(getattr(tokenizer, "chat_template", None)),
    )
    slots = options.parallel
    text = TextModel(model, tokenizer, context_size=size, slots=slots, functions=functions)
    return known, text


def _embedding(
    model: Any, tokenizer: Any, facts: ModelFacts, pooling: str, options: Options
) -> tuple[ModelFacts, Encoder]:
    from localai.worker.hf.encoder import SLOTS, Encoder

    limit = text_limit(tokenizer, model.config, options.context_size)
    most = options.batch_tokens or _BATCH_TOKENS[model.device.type == "cpu"]
    encoder = Encoder(
        model,
        tokenizer,
        limit=limit,
        pooling=pooling,
        truncates=options.truncate,
        batch_tokens=most,
    )
    return msgspec.structs.replace(facts, context_size=limit, slots=SLOTS), encoder


def _model_class(transformers: Any, options: Options, config: Any) -> tuple[Any, bool]:
    """The class to load with, and whether it generates text."""
    name = _SHORT_TYPES.get(options.type, options.type)
    if not name:
        architectures = getattr(config, "architectures", None) or [""]
        causal = str(architectures[0]).endswith(_CAUSAL) and not options.embeddings
        name = "AutoModelForCausalLM" if causal else "AutoModel"
    found = getattr(transformers, name, None)
    if found is None or not hasattr(found, "from_pretrained"):
        message = (
            f"type is {name!r}, which is no model class of transformers {transformers.__version__}."
        )
        raise SpecInvalid(message, hint="Usual ones are AutoModelForCausalLM and AutoModel.")
    generates = not options.embeddings and (name.endswith(("CausalLM", "LMHeadModel")))
    return found, generates


def _quantized(
    options: Options, transformers: Any, torch: Any, warnings: list[str]
) -> dict[str, Any]:
    if not options.quantization:
        return {}
    if options.quantization.startswith("xpu"):
        warnings.append(
            f"quantization: {options.quantization} is computed by bitsandbytes, as "
            f"{options.quantization.replace('xpu', 'bnb')}: the library behind the XPU form has ended."
        )
    if _BITS[options.quantization] == 8:  # noqa: PLR2004
        return {"quantization_config": transformers.BitsAndBytesConfig(load_in_8bit=True)}
    four = transformers.BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16
    )
    return {"quantization_config": four}
