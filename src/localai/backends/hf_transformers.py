"""Transformers: any PyTorch model that the library has. https://huggingface.co/docs/transformers (Apache-2.0)

Type      AutoModelForCausalLM (text), AutoModel (vectors), or the name of any class of the library
Files     a folder with config.json and weights, or the name of a repository on the Hugging Face hub
Devices   cpu, cuda, cuda.N (`main_gpu`)        Precision  that of the file; `f16: true` is bfloat16
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import msgspec

from localai.domain.errors import SpecInvalid
from localai.wire.functions import function_settings
from localai.wire.messages import LoadRequest, ModelFacts
from localai.worker.hf.text_or_vectors import TextOrVectors, embedding, writing
from localai.worker.hub import check_weights, failing_as, model_folder
from localai.worker.options import read_options
from localai.worker.runtime import in_thread
from localai.worker.torch_device import choose_device

if TYPE_CHECKING:
    from localai.worker.hf.encoder import Encoder
    from localai.worker.hf.text_model import TextModel

_PACKED_ROWS = 32
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


class Backend(TextOrVectors):
    """A model of transformers on PyTorch."""

    to_write = "Leave `embeddings` out of its model file, and set `type: AutoModelForCausalLM`."
    to_embed = "Set `embeddings: true` in its model file."

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
    if _BITS.get(options.quantization) == 4:  # noqa: PLR2004
        _keep_odd_layers_plain(model)
    facts = ModelFacts(device=device.why, warnings=warnings)
    if generates:
        functions = function_settings(request.settings)
        known, text = writing(model, tokenizer, facts, functions, options)
        return known, text, None
    most = options.batch_tokens or _BATCH_TOKENS[model.device.type == "cpu"]
    known, encoder = embedding(model, tokenizer, facts, options, pooling=pooling, batch_tokens=most)
    return known, None, encoder


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


def _keep_odd_layers_plain(model: Any) -> None:
    """Take layers of odd sizes out of the quick way that bitsandbytes has on some processors.

    It packs rows by 32, and fails in the first call for any other number (functional.py).
    """
    for layer in model.modules():
        if (
            getattr(layer, "support_avx512bf16_for_cpu", False)
            and layer.out_features % _PACKED_ROWS
        ):
            layer.support_avx512bf16_for_cpu = False


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
