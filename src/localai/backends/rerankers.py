"""Rerankers: puts documents in order. https://github.com/AnswerDotAI/rerankers (Apache-2.0)

Types     cross-encoder, t5 (`type`, told by the files where it is empty)
Files     a folder with config.json and weights      Scores    the library's own: logits, probabilities of a T5
Devices   cpu, cuda, cuda.N, mps (`main_gpu`)        Precision float32; `f16` is bfloat16 on a CPU
"""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any, Final, Self

import msgspec

from localai.domain.errors import ModelFileInvalid, SpecInvalid, StartFailed
from localai.domain.vectors import Ranking, RerankRequest
from localai.wire.messages import LoadRequest, ModelFacts
from localai.worker.batcher import Batcher
from localai.worker.hub import check_weights, failing_as, model_folder, read_json
from localai.worker.options import read_options
from localai.worker.runtime import in_thread
from localai.worker.token_limits import TokenLimit, own_limit, positions
from localai.worker.torch_device import TorchDevice, choose_device

_FIELDS: Final = ("type", "main_gpu", "cuda", "threads", "context_size", "f16", "reranking",
                  "trust_remote_code")  # fmt: skip
_CROSS_ENCODER, _T5 = "cross-encoder", "t5"
_TYPES: Final = (_CROSS_ENCODER, _T5)
_COLBERT: Final = "colbert"
_SLOTS: Final = 32
_BATCH_TOKENS: Final = {True: 512, False: 16_384}  # padded, by whether the processor computes
_MOST_DOCUMENTS: Final = 4096  # of one batch; its tokens are fewer
_T5_TOKENS: Final = 512  # where the library cuts
_T5_TEMPLATE: Final = 8  # tokens of the words it puts around query and document


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of a model on this engine.

    `type` is cross-encoder or t5. `truncate: false` refuses documents that are too long
    instead of cutting them. `token_true` and `token_false` are the words with which a T5 answers.
    """

    type: str = ""
    main_gpu: str = ""
    cuda: bool = False
    threads: int = 0
    context_size: int = 0
    f16: bool = False
    reranking: bool = True
    trust_remote_code: bool = False
    download: bool = True
    revision: str = ""
    truncate: bool = True
    batch_tokens: int = 0
    token_true: str = "auto"  # noqa: S105 - words of a model
    token_false: str = "auto"  # noqa: S105 - words of a model


class Backend:
    """A ranker of the library, which gets documents of one query in batches of like length."""

    def __init__(self, loaded: _Loaded) -> None:
        self._loaded = loaded
        self._batcher: Batcher[_Pair, tuple[float, int]] = Batcher(
            loaded.score, limit=loaded.batch_tokens
        )

    @classmethod
    async def load(cls, request: LoadRequest) -> Self:
        """Load the weights."""
        options = read_options(request, Options, _FIELDS)
        if options.type not in ("", *_TYPES):
            reason = (
                "The library's ColBERT does not run on the transformers of this environment."
                if options.type == _COLBERT
                else "The library's other types need packages or services that are not installed."
            )
            message = f"type is {options.type!r}; this engine has {' and '.join(_TYPES)}."
            raise SpecInvalid(message, hint=reason)
        return cls(await in_thread(_load, request, options))

    @property
    def facts(self) -> ModelFacts:
        """What is known of the model."""
        return self._loaded.facts

    async def close(self) -> None:
        """Free the weights, after the batch that is being computed."""
        await self._batcher.close()
        self._loaded.ranker = None
        gc.collect()

    async def rerank(self, request: RerankRequest) -> Ranking:
        """One score per document, as the library gives it."""
        loaded = self._loaded
        pairs = [(request.query, document) for document in request.documents]
        fitting = await loaded.tokens.fit(pairs, cuts=loaded.options.truncate, param="documents")
        found = await self._batcher.submit(
            [(query, document, tokens) for (query, document), tokens in fitting],
            size=lambda pair: pair[2],
            group=request.query,
        )
        return Ranking(
            scores=tuple(score for score, _ in found),
            prompt_tokens=sum(tokens for _, tokens in found),
        )


_Pair = tuple[str, str, int]  # a query, a document and their tokens


class _Loaded:
    """A ranker and what it makes of a batch; everything here blocks."""

    def __init__(self, ranker: Any, options: Options, kind: str, device: TorchDevice) -> None:
        self.ranker = ranker
        self.options = options
        self.batch_tokens = options.batch_tokens or _BATCH_TOKENS[device.is_cpu]
        limit = _set_limit(ranker, options, kind)
        self.tokens = TokenLimit(ranker.tokenizer, limit)
        self._cannot_rank_one = getattr(ranker, "is_monobert", False)  # it loses the shape of one
        self.facts = ModelFacts(context_size=limit, slots=_SLOTS, device=device.why)

    def score(self, pairs: list[_Pair]) -> list[tuple[float, int]]:
        """The scores of documents for one query, with the tokens of each pair."""
        query, documents = pairs[0][0], [document for _, document, _ in pairs]
        asked = documents * 2 if self._cannot_rank_one and len(documents) == 1 else documents
        ranked = self.ranker.rank(query, asked, doc_ids=list(range(len(asked))))
        scores = {result.doc_id: float(result.score) for result in ranked.results}
        encoded = self.ranker.tokenizer([query] * len(pairs), documents, truncation=True)
        tokens = map(len, encoded["input_ids"])
        return [(scores[place], count) for place, count in enumerate(tokens)]


def _load(request: LoadRequest, options: Options) -> _Loaded:
    folder = model_folder(request, download=options.download, revision=options.revision)
    check_weights(folder, "rerankers")
    kind = options.type or _kind_of(folder)
    import torch
    import transformers
    from rerankers import Reranker

    transformers.utils.logging.disable_progress_bar()
    if options.threads:
        torch.set_num_threads(options.threads)
    device = choose_device(torch, wanted=options.main_gpu, needs_cuda=options.cuda)
    precision = "bfloat16" if device.is_cpu else "float16"
    offline = {"local_files_only": True, "trust_remote_code": options.trust_remote_code}
    words = {"token_true": options.token_true, "token_false": options.token_false}
    with failing_as(f"rerankers cannot load {folder} as {kind}"):
        ranker = Reranker(
            str(folder),
            model_type=kind,
            verbose=0,
            device=device.name,
            dtype=precision if options.f16 else "float32",
            batch_size=_MOST_DOCUMENTS,
            model_kwargs=offline,
            tokenizer_kwargs=offline,
            **(words if kind == _T5 else {}),
        )
    if ranker is None:  # the library has printed why
        raise StartFailed(f"rerankers has not what a model of the type {kind} needs.")
    labels = int(getattr(ranker.model.config, "num_labels", 1))
    if kind == _CROSS_ENCODER and labels != 1 and not ranker.is_monobert:
        raise ModelFileInvalid(
            f"{folder} sorts texts into {labels} classes; a model that ranks has one label.",
            path=str(folder),
            hint="Use a cross-encoder that was trained to rank.",
        )
    return _Loaded(ranker, options, kind, device)


def _kind_of(folder: Path) -> str:
    """The type of a model, from its files. Raises ModelFileInvalid."""
    architecture = str((read_json(folder / "config.json").get("architectures") or [""])[0])
    if architecture.endswith("ForSequenceClassification"):
        return _CROSS_ENCODER
    if architecture.endswith("T5ForConditionalGeneration"):
        return _T5
    raise ModelFileInvalid(
        f"{folder} is a {architecture or 'model of no known kind'}, which is no ranker that this engine knows.",
        path=str(folder),
        hint=f"Name its type in the model file: `type: {_CROSS_ENCODER}` or `type: {_T5}`.",
    )


def _set_limit(ranker: Any, options: Options, kind: str) -> int:
    """Set how many tokens query and document may have together; gives the limit."""
    own = own_limit(ranker.tokenizer.model_max_length)
    limit = min(options.context_size or own, own, positions(ranker.model.config))
    if kind == _T5:
        limit = min(limit, _T5_TOKENS) - _T5_TEMPLATE
    ranker.tokenizer.model_max_length = limit
    return limit
