"""A loaded encoder of transformers as an embedder, in batches over all requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from localai.domain.errors import StartFailed, Unsupported
from localai.domain.vectors import Embeddings, EmbedRequest
from localai.worker.batcher import Batcher
from localai.worker.hub import read_json
from localai.worker.token_limits import TokenLimit

if TYPE_CHECKING:
    from pathlib import Path

SLOTS: Final = 128  # requests at once: enough that a batch is full while the next one gathers
_WAYS: Final = ("cls", "mean", "lasttoken")


class Encoder:
    """Embeds with `model`, a callable that gives `last_hidden_state`.

    `pooling` is a word of `pooling_of`; `truncates` is for requests that do not say whether to cut;
    `batch_tokens` are the padded tokens computed in one go.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        limit: int,
        pooling: str,
        truncates: bool,
        batch_tokens: int,
    ) -> None:
        if tokenizer.pad_token is None:  # of a model that writes; its place is masked
            tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
        tokenizer.padding_side = "right"
        self._model = model
        self._tokenizer = tokenizer
        self._tokens = TokenLimit(tokenizer, limit)
        self._pooling = pooling
        self._truncates = truncates
        most = batch_tokens if tokenizer.pad_token is not None else 1
        self._batcher: Batcher[tuple[str, int], tuple[bytes, int]] = Batcher(self._work, limit=most)

    async def embed(self, request: EmbedRequest) -> Embeddings:
        """One L2-normalized vector per input. Raises RequestError."""
        if request.prompt_name:
            raise Unsupported(
                "This engine has no prompts by name.",
                feature="prompt_name",
                hint="Put the prompt before the text, or use the backend sentencetransformers.",
                param="prompt_name",
            )
        cuts = self._truncates if request.truncate is None else request.truncate
        texts = [self._tokens.text_of(item, place) for place, item in enumerate(request.inputs)]
        fitting = await self._tokens.fit([(text,) for text in texts], cuts=cuts, param="input")
        inputs = [(parts[0], tokens) for parts, tokens in fitting]
        found = await self._batcher.submit(inputs, size=lambda one: one[1])
        return Embeddings(
            vectors=tuple(vector for vector, _ in found),
            prompt_tokens=sum(tokens for _, tokens in found),
        )

    async def close(self) -> None:
        """Let go of the weights, after the batch that is being computed."""
        await self._batcher.close()
        self._model = None

    def _work(self, inputs: list[tuple[str, int]]) -> list[tuple[bytes, int]]:
        """The vectors of a batch, float32, with the tokens of each."""
        import torch

        features = self._tokenizer(
            [text for text, _ in inputs],
            padding=len(inputs) > 1,
            truncation=True,
            max_length=self._tokens.limit,
            return_tensors="pt",
        )
        given = {name: tensor.to(self._model.device) for name, tensor in features.items()}
        with torch.inference_mode():
            states = torch.as_tensor(self._model(**given).last_hidden_state).float()
            mask = given["attention_mask"].to(states.device)
            vectors = torch.nn.functional.normalize(self._pooled(states, mask), p=2, dim=1)
        rows = vectors.cpu().numpy().astype("<f4")
        counts = features["attention_mask"].sum(dim=1).tolist()
        return [(row.tobytes(), count) for row, count in zip(rows, counts, strict=True)]

    def _pooled(self, states: Any, mask: Any) -> Any:
        """Vectors of shape (texts, width) from states of shape (texts, tokens, width)."""
        import torch

        if self._pooling == "cls":
            return states[:, 0]
        if self._pooling == "lasttoken":
            return states[torch.arange(len(states), device=states.device), mask.sum(dim=1) - 1]
        weights = mask.unsqueeze(-1).float()
        return (states * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1.0)


def pooling_of(folder: Path) -> str:
    """How the states of a text become its vector: cls, mean or lasttoken; mean where nothing says.

    Raises StartFailed for a way that is not known here.
    """
    told = read_json(folder / "1_Pooling" / "config.json")
    ways = [name for name, is_on in told.items() if name.startswith("pooling_mode_") and is_on]
    ways = ways or [str(told.get("pooling_mode") or "mean")]
    found = ways[0].removeprefix("pooling_mode_").removesuffix("_tokens").removesuffix("_token")
    found = "lasttoken" if found == "last" else found
    if len(ways) > 1 or found not in _WAYS:
        raise StartFailed(
            f"{folder} joins the states of a text by {' and '.join(ways)}, which is not known here.",
            hint="Use the backend sentencetransformers.",
        )
    return found
