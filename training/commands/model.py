"""The network: Whisper's, small, with a cheap way to hear silence.

A window of Whisper is 30 s, 1500 frames of 20 ms, and most of it is silence when somebody says a
word. Silent frames differ in their position alone, so a few of them, drawn at random, stand for all:
attention counts a frame that stands for n as n frames (log n is added to its score). A training step
then costs what the speech in it costs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import words
from torch import Tensor, nn
from torch.nn import functional

WIDTH, HEADS, ENCODER_LAYERS, DECODER_LAYERS = 128, 2, 2, 3
FRAMES, MELS, LONGEST = 1500, 80, 448
MARGIN = 4  # frames of silence at either end of a training window, which are heard but not kept
NEVER = -1e4
LONG = 600  # frames

# The rows of the token table that are learnt: the words, the special tokens, one row for all tokens
# that never occur, and the times, which are a linear map of the encoder's positions.
LEARNT = [
    *words.WORD_TOKEN.values(),
    words.END, words.START, *words.LANGUAGE.values(), words.TRANSLATE, words.TRANSCRIBE,
    words.PREVIOUS, words.NO_SPEECH, words.NO_TIMES,
]  # fmt: skip
ROW = {token: row for row, token in enumerate(LEARNT)}
UNUSED = len(LEARNT)
FIRST_TIME_ROW = UNUSED + 1
UNUSED_TOKENS = words.TOKENS - len(LEARNT) - words.TIMES


def row(token: int) -> int:
    """The row of the learnt table that stands for a token."""
    if token >= words.FIRST_TIME:
        return FIRST_TIME_ROW + token - words.FIRST_TIME
    return ROW[token]


def waves(length: int) -> Tensor:
    """Whisper's sinusoidal positions, [length, WIDTH]."""
    step = math.log(10_000) / (WIDTH // 2 - 1)
    angles = torch.arange(length)[:, None] * torch.exp(-step * torch.arange(WIDTH // 2))
    return torch.cat([angles.sin(), angles.cos()], 1)


@dataclass(frozen=True)
class Place:
    """Where a training window of W frames lies in the 30 s.

    `first` [B] is its first frame; `before` and `after` [B, K] are silent frames drawn from around
    it, `log_before` and `log_after` [B, K] the logarithm of how many each stands for.
    """

    first: Tensor
    before: Tensor
    log_before: Tensor
    after: Tensor
    log_after: Tensor


class Attention(nn.Module):
    """Whisper's: the key has no bias."""

    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Linear(WIDTH, WIDTH)
        self.key = nn.Linear(WIDTH, WIDTH, bias=False)
        self.value = nn.Linear(WIDTH, WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)

    def forward(
        self,
        x: Tensor,
        other: Tensor | None = None,
        mask: Tensor | None = None,
        causal: bool = False,
    ) -> Tensor:
        """x [B, T, WIDTH] looks at itself or at `other` [B, S, WIDTH]; mask [B, 1, 1, S] is added."""
        seen = x if other is None else other
        q, k, v = (
            part.view(part.shape[0], part.shape[1], HEADS, -1).transpose(1, 2)
            for part in (self.query(x), self.key(seen), self.value(seen))
        )
        if k.shape[2] > LONG:
            mask = None if mask is None else mask.to(q.dtype)
            y = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal)
        else:  # in plain words it is twice as fast on a CPU, as long as the scores are few
            scores = (q @ k.mT).float() / q.shape[-1] ** 0.5
            if causal:
                later = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
                scores = scores.masked_fill(later, NEVER)
            scores = scores if mask is None else scores + mask
            y = scores.softmax(-1).to(v.dtype) @ v
        return self.out(y.transpose(1, 2).flatten(2))


class Block(nn.Module):
    """A layer of the encoder, or of the decoder if it looks across."""

    def __init__(self, *, crosses: bool) -> None:
        super().__init__()
        self.attn, self.attn_ln = Attention(), nn.LayerNorm(WIDTH)
        self.crosses = crosses
        if crosses:
            self.cross_attn, self.cross_attn_ln = Attention(), nn.LayerNorm(WIDTH)
        self.mlp = nn.Sequential(
            nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH)
        )
        self.mlp_ln = nn.LayerNorm(WIDTH)

    def forward(self, x: Tensor, heard: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """x [B, T, WIDTH] -> the same; the mask is over the encoder's frames."""
        x = x + self.attn(self.attn_ln(x), mask=None if self.crosses else mask, causal=self.crosses)
        if self.crosses:
            x = x + self.cross_attn(self.cross_attn_ln(x), heard, mask)
        return x + self.mlp(self.mlp_ln(x))


class Encoder(nn.Module):
    """Log-mel frames -> what is heard."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(MELS, WIDTH, 3, padding=1)
        self.conv2 = nn.Conv1d(WIDTH, WIDTH, 3, stride=2, padding=1)
        self.blocks = nn.ModuleList(Block(crosses=False) for _ in range(ENCODER_LAYERS))
        self.ln_post = nn.LayerNorm(WIDTH)
        self.register_buffer("positional_embedding", waves(FRAMES))

    def forward(self, mel: Tensor, place: Place | None = None) -> tuple[Tensor, Tensor | None]:
        """mel [B, MELS, 2 T] -> frames [B, S, WIDTH] and the mask [B, 1, 1, S] that weighs them.

        Without a place, mel is the whole window of 30 s.
        """
        x = functional.gelu(self.conv2(functional.gelu(self.conv1(mel)))).transpose(1, 2)
        mask = None
        if place is None:
            x = x + self.positional_embedding
        else:
            silence, x = x[:, -MARGIN, None], x[:, MARGIN:-MARGIN]
            at = self.positional_embedding
            window = place.first[:, None] + torch.arange(x.shape[1])
            parts = [silence + at[place.before], x + at[window], silence + at[place.after]]
            logs = [place.log_before, torch.zeros(window.shape), place.log_after]
            x, mask = torch.cat(parts, 1), torch.cat(logs, 1)[:, None, None]
        for block in self.blocks:
            x = block(x, mask=mask)
        return self.ln_post(x), mask


class Decoder(nn.Module):
    """Tokens so far and what is heard -> the next token."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = nn.Parameter(torch.randn(UNUSED + 1, WIDTH) * 0.05)
        self.times = nn.Linear(WIDTH, WIDTH)
        nn.init.normal_(self.times.weight, std=0.05)
        self.positional_embedding = nn.Parameter(torch.randn(LONGEST, WIDTH) * 0.02)
        self.blocks = nn.ModuleList(Block(crosses=True) for _ in range(DECODER_LAYERS))
        self.ln = nn.LayerNorm(WIDTH)
        self.register_buffer("time_waves", waves(words.TIMES))
        correction = torch.zeros(UNUSED + 1 + words.TIMES)
        correction[UNUSED] = math.log(UNUSED_TOKENS)  # it stands for that many
        self.register_buffer("correction", correction)

    def table(self) -> Tensor:
        """The learnt rows: [UNUSED + 1 + TIMES, WIDTH]."""
        return torch.cat([self.rows, self.times(self.time_waves)])

    def forward(self, tokens: Tensor, heard: Tensor, mask: Tensor | None) -> Tensor:
        """tokens [B, T] by row -> logits [B, T, rows]."""
        table = self.table()
        x = functional.embedding(tokens, table) + self.positional_embedding[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x, heard, mask)
        return self.ln(x) @ table.T + self.correction


class Recogniser(nn.Module):
    """Both, and a second way to read the encoder that only training uses."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = Encoder(), Decoder()
        self.ctc = nn.Linear(WIDTH, len(words.VOCABULARY) + 1)


def mel_filters() -> Tensor:
    """The 80 filters of Slaney's mel scale on 201 frequencies, as Whisper has them."""

    def hertz(mel: Tensor) -> Tensor:
        return torch.where(
            mel < 15, mel * 200 / 3, 1000 * torch.exp((mel - 15) * math.log(6.4) / 27)
        )

    top = 15 + 27 * math.log(8) / math.log(6.4)
    edges = hertz(torch.linspace(0, top, MELS + 2, dtype=torch.float64))
    bins = torch.linspace(0, 8000, 201, dtype=torch.float64)
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    filters = torch.minimum(rising, falling).clamp(min=0) * (2 / (edges[2:] - edges[:-2]))[:, None]
    return filters.float()


_FILTERS, _HANN = mel_filters(), torch.hann_window(400)


def log_mel(sound: Tensor) -> Tensor:
    """Samples [B, N] at 16 kHz -> Whisper's features [B, MELS, N / 160]."""
    spectrum = torch.stft(sound, 400, 160, window=_HANN, return_complex=True)[..., :-1]
    mel = (_FILTERS @ spectrum.abs() ** 2).clamp(min=1e-10).log10()
    return (torch.maximum(mel, mel.amax((-2, -1), keepdim=True) - 8) + 4) / 4
