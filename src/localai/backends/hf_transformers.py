"""Transformers: any PyTorch model that the library has. https://huggingface.co/docs/transformers (Apache-2.0)

Type      AutoModelForCausalLM (text), AutoModel (embeddings), or the name of any class of the library
Files     a folder with config.json and weights, or the name of a repository on the Hugging Face hub
Devices   cpu, cuda, cuda.N (`main_gpu`)        Precision  that of the file; `f16: true` is bfloat16
"""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import msgspec

from localai.domain.errors import (
    ContextTooLong,
    InvalidRequest,
    ModelFileInvalid,
    SpecInvalid,
    StartFailed,
    Unsupported,
)
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
from localai.worker.options import read_options

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from localai.domain.events import Event
    from localai.domain.generation import GenerationRequest
    from localai.worker.hf.text_model import TextModel

_BITS = {"bnb_8bit": 8, "bnb_4bit": 4, "xpu_8bit": 8, "xpu_4bit": 4}
_FIELDS = ("type", "quantization", "main_gpu", "threads", "context_size", "f16", "embeddings",
           "cuda", "trust_remote_code")  # fmt: skip
_SHORT_TYPES = {"Mamba": "MambaForCausalLM"}
_CAUSAL = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of a model on this engine.

    `parallel` is how many answers are computed side by side; each takes its own memory.
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


class Backend:
    """A model of transformers on PyTorch."""

    def __init__(self, loaded: _Loaded, functions: FunctionSettings) -> None:
        self._loaded = loaded
        self._text: TextModel | None = None
        if loaded.generates:
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
        """Load the weights; a repository's name is downloaded first, as the library does it."""
        options = read_options(request, Options, _FIELDS)
        if options.quantization and options.quantization not in _BITS:
            message = (
                f"quantization is {options.quantization!r}; this engine has {', '.join(_BITS)}."
            )
            raise SpecInvalid(message)
        loaded = await asyncio.to_thread(_load, request, options)
        return cls(loaded, function_settings(request.settings))

    @property
    def facts(self) -> ModelFacts:
        """What is known of the model."""
        return self._loaded.facts

    async def close(self) -> None:
        """Free the weights."""
        self._text = None
        self._loaded.model = None
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
        """One vector per input: the mean of the last hidden states, L2-normalized."""
        if self._loaded.generates:
            raise Unsupported(
                "This model was loaded to generate text.",
                feature="embed",
                hint="Set `embeddings: true` in its model file.",
            )
        if request.prompt_name:
            raise Unsupported(
                "This engine has no prompts by name.",
                feature="prompt_name",
                hint="Put the prompt before the text, or use the backend sentencetransformers.",
                param="prompt_name",
            )
        return await asyncio.to_thread(_embed, self._loaded, request)

    def _generator(self) -> TextModel:
        if self._text is None:
            raise Unsupported(
                "This model was loaded for embeddings.",
                feature="generate",
                hint="Leave `embeddings` out of its model file, and set `type: AutoModelForCausalLM`.",
            )
        return self._text


class _Loaded:
    """A model, its tokenizer and what it can do."""

    def __init__(self, model: Any, tokenizer: Any, facts: ModelFacts, *, generates: bool) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.facts = facts
        self.generates = generates


def _load(request: LoadRequest, options: Options) -> _Loaded:
    source = _source(request)
    import torch
    import transformers

    transformers.utils.logging.disable_progress_bar()
    if options.threads:
        torch.set_num_threads(options.threads)
    device, why = _device(options, torch)
    trusted = {
        "trust_remote_code": options.trust_remote_code,
        "local_files_only": Path(source).is_absolute(),  # a folder has everything, or is refused
    }
    warnings: list[str] = []
    try:
        config = transformers.AutoConfig.from_pretrained(source, **trusted)
        model_class, generates = _model_class(transformers, options, config)
        model = model_class.from_pretrained(
            source,
            dtype=torch.bfloat16 if options.f16 else "auto",
            device_map=device,
            **_quantized(options, transformers, torch, warnings),
            **trusted,
        ).eval()
        tokenizer = transformers.AutoTokenizer.from_pretrained(source, **trusted)
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        raise StartFailed(
            f"transformers cannot load {source}: {_first_line(error)}",
            hint="Its lines above say more; `trust_remote_code: true` is for models that bring code."
            if "trust_remote_code" in str(error)
            else "",
        ) from error
    trained = int(getattr(config.get_text_config(), "max_position_embeddings", 0) or 0)
    asked = options.context_size
    facts = ModelFacts(
        context_size=min(asked, trained) if asked > 0 and trained else asked or trained or 4096,
        slots=options.parallel,
        device=why,
        has_chat_template=bool(getattr(tokenizer, "chat_template", None)),
        warnings=warnings,
    )
    return _Loaded(model, tokenizer, facts, generates=generates)


def _source(request: LoadRequest) -> str:
    """The folder of the model, or the name of its repository."""
    path = Path(request.model_path)
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise ModelFileInvalid(
                f"{path} has no config.json, so it is no model of transformers.",
                path=str(path),
                hint="Name the folder that holds config.json and the weights.",
            )
        return str(path)
    if path.is_file():
        raise ModelFileInvalid(
            f"{path} is a file; this engine wants the folder with config.json and the weights.",
            path=str(path),
            hint="GGUF files are for the backend llama-cpp.",
        )
    if request.model_id.count("/") == 1:
        return request.model_id
    raise ModelFileInvalid(
        f"The weights of the model {request.model!r} are not there: {path}.",
        path=str(path),
        hint="Put the folder there, or name a repository of the Hugging Face hub as OWNER/NAME.",
    )


def _device(options: Options, torch: Any) -> tuple[str, str]:
    wanted = options.main_gpu.strip().lower().replace(".", ":")
    if torch.cuda.is_available():
        device = wanted or "cuda"
        return (
            device,
            f"{device}, {torch.cuda.get_device_name(None if ':' not in device else device)}",
        )
    if wanted.startswith("cuda") or options.cuda:
        message = "The model file asks for CUDA, and no CUDA device was found."
        raise StartFailed(
            message, hint="Leave `main_gpu` and `cuda` out, or install the variant for CUDA."
        )
    return "cpu", "CPU, because no CUDA device was found"


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


def _embed(loaded: _Loaded, request: EmbedRequest) -> Embeddings:
    import torch

    vectors, tokens = [], 0
    known = loaded.model.get_input_embeddings().num_embeddings
    for place, item in enumerate(request.inputs):
        ids = loaded.tokenizer(item)["input_ids"] if isinstance(item, str) else list(item)
        if not ids or not 0 <= min(ids) <= max(ids) < known:
            what = "holds a number that is no token id of this model" if ids else "is empty"
            raise InvalidRequest(f"input[{place}] {what}.", param=f"input[{place}]")
        if request.truncate:
            ids = ids[: loaded.facts.context_size]
        if len(ids) > loaded.facts.context_size:
            raise ContextTooLong(limit=loaded.facts.context_size, requested=len(ids))
        tokens += len(ids)
        with torch.inference_mode():
            states = loaded.model(torch.tensor([ids], device=loaded.model.device)).last_hidden_state
        vector = torch.nn.functional.normalize(states[0].float().mean(0), dim=0)
        vectors.append(vector.cpu().numpy().astype("<f4").tobytes())
    return Embeddings(vectors=tuple(vectors), prompt_tokens=tokens)


def _first_line(error: Exception) -> str:
    return next(
        (line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__
    )
