"""The network: a small llama, written so that its weights map to GGUF tensors one to one."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class Shape:
    """The sizes of the network."""

    vocabulary: int
    width: int = 192
    layers: int = 5
    heads: int = 6
    hidden: int = 512

    @property
    def head(self) -> int:
        """The width of one attention head."""
        return self.width // self.heads


@dataclass
class Rows:
    """Equally long rows of packed chats; all tensors are [rows, length].

    ``chat`` numbers the chats of a row, so that attention stays inside a chat; -1 is padding.
    """

    tokens: Tensor
    position: Tensor
    chat: Tensor
    target: Tensor
    weight: Tensor


class Block(nn.Module):
    """The weights of one layer; equal shapes are stacked for the optimizer's sake."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        d, out = shape.width, 0.02 / math.sqrt(2 * shape.layers)
        self.norm1 = nn.Parameter(torch.ones(d))
        self.norm2 = nn.Parameter(torch.ones(d))
        self.qkv = nn.Parameter(torch.randn(3, d, d) * 0.02)
        self.out = nn.Parameter(torch.randn(1, d, d) * out)
        self.gate_up = nn.Parameter(torch.randn(2, shape.hidden, d) * 0.02)
        self.down = nn.Parameter(torch.randn(1, d, shape.hidden) * out)


def norm(x: Tensor, weight: Tensor) -> Tensor:
    """RMS norm with llama's epsilon."""
    return functional.rms_norm(x, (x.shape[-1],), weight, 1e-5)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions on interleaved pairs, the order that GGUF's "llama" expects."""
    x = x.view(*x.shape[:-1], -1, 2)
    a, b = x[..., 0], x[..., 1]
    return torch.stack((a * cos - b * sin, a * sin + b * cos), -1).flatten(-2)


class Model(nn.Module):
    """Tied embeddings, RMS norm, rotary attention, SwiGLU."""

    freq: Tensor

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.embedding = nn.Parameter(torch.randn(shape.vocabulary, shape.width) * 0.02)
        self.norm = nn.Parameter(torch.ones(shape.width))
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        freq = 10000.0 ** (-torch.arange(0, shape.head, 2).float() / shape.head)
        self.register_buffer("freq", freq)

    def forward(self, groups: list[Rows]) -> tuple[Tensor, Tensor]:
        """-> weighted loss, and which tokens were right.

        The tokens of all groups share the matrix products; only attention works row by row.
        Attention is plain softmax: the fused kernel's backward pass is slower on a CPU.
        """
        h = functional.embedding(torch.cat([g.tokens.view(-1) for g in groups]), self.embedding)
        angle = torch.cat([g.position.view(-1) for g in groups])[:, None].float() * self.freq
        cos, sin = angle.cos()[:, None], angle.sin()[:, None]
        masks = [_mask(g.chat) for g in groups]
        for b in self.blocks:
            h = h + functional.linear(
                self._attend(b, norm(h, b.norm1), cos, sin, groups, masks), b.out[0]
            )
            gate, up = functional.linear(norm(h, b.norm2), b.gate_up.flatten(0, 1)).chunk(2, -1)
            h = h + functional.linear(functional.silu(gate) * up, b.down[0])
        target = torch.cat([g.target.view(-1) for g in groups])
        weight = torch.cat([g.weight.view(-1) for g in groups])
        logits = functional.linear(norm(h, self.norm), self.embedding).float()
        loss = functional.cross_entropy(logits, target, reduction="none")
        return (loss * weight).sum() / weight.sum(), logits.argmax(-1) == target

    def _attend(
        self, b: Block, x: Tensor, cos: Tensor, sin: Tensor, groups: list[Rows], masks: list[Tensor]
    ) -> Tensor:
        heads, size = self.shape.heads, self.shape.head
        q, k, v = functional.linear(x, b.qkv.flatten(0, 1)).view(-1, 3, heads, size).unbind(1)
        q, k, v = rotate(q, cos, sin).bfloat16(), rotate(k, cos, sin).bfloat16(), v.bfloat16()
        start, out = 0, []
        for g, mask in zip(groups, masks, strict=True):
            rows, length = g.tokens.shape
            end = start + rows * length
            qg, kg, vg = (
                t[start:end].view(rows, length, heads, size).transpose(1, 2) for t in (q, k, v)
            )
            p = torch.softmax((qg * size**-0.5) @ kg.mT + mask, -1).to(v.dtype)
            out.append((p @ vg).transpose(1, 2).reshape(rows * length, -1))
            start = end
        return torch.cat(out)


def _mask(chat: Tensor) -> Tensor:
    """Look back only, and only inside the same chat."""
    seen = (chat[:, :, None] == chat[:, None, :]).tril()[:, None]
    return torch.zeros(seen.shape, dtype=torch.bfloat16).masked_fill(~seen, -1e4)
