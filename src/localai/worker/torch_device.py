"""Where PyTorch computes, and why, in a sentence for people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from localai.domain.errors import StartFailed

MOST_LANES: Final = 4
_SPOKEN: Final = {"cuda": "CUDA", "mps": "Apple", "xpu": "Intel"}


@dataclass(frozen=True, slots=True)
class TorchDevice:
    """`name` is PyTorch's, such as `cuda:1`; `why` is what listings show."""

    name: str
    why: str

    @property
    def is_cpu(self) -> bool:
        """Whether the processor computes, not an accelerator."""
        return self.name == "cpu"


class TorchLanes:
    """How many batches one model may compute at once, and the threads of each.

    On a processor: as many as there are threads, but few, since Python itself does one thing at a time.
    An accelerator computes one after the other, and so does a model whose code may keep something
    of a call (`stateless` False).
    """

    def __init__(self, device: TorchDevice, *, stateless: bool) -> None:
        import torch

        self._threads: int = torch.get_num_threads()
        self.count = min(self._threads, MOST_LANES) if device.is_cpu and stateless else 1

    def divide(self, crowd: int) -> None:
        """Give the calling thread its share of the cores, beside `crowd` - 1 others."""
        import torch

        if self.count > 1:
            torch.set_num_threads(max(1, self._threads // crowd))


def choose_device(torch: Any, *, wanted: str = "", needs_cuda: bool = False) -> TorchDevice:
    """The device a model file wants (`cuda`, `cuda.1`, `cpu`, ...), else the best there is.

    Raises StartFailed when what it wants is not there.
    """
    name = wanted.strip().lower().replace(".", ":")
    if name == "cpu":
        return TorchDevice("cpu", "CPU, because the model file says so")
    kind = name.partition(":")[0] or ("cuda" if needs_cuda else "")
    if torch.cuda.is_available() and kind in ("", "cuda"):
        return _cuda(torch, name or "cuda")
    if kind in ("", "mps") and torch.backends.mps.is_available():
        return TorchDevice("mps", "mps, the GPU of this Mac")
    if kind in ("", "xpu") and hasattr(torch, "xpu") and torch.xpu.is_available():
        return TorchDevice(name or "xpu", f"{name or 'xpu'}, an Intel GPU")
    if kind:
        raise StartFailed(
            f"The model file asks for {wanted or kind}, and no {_SPOKEN.get(kind, kind)} device was found.",
            hint="Leave `main_gpu` and `cuda` out, or install the engine's variant for that device.",
        )
    return TorchDevice("cpu", "CPU, because no CUDA device was found")


def _cuda(torch: Any, name: str) -> TorchDevice:
    number = name.partition(":")[2]
    count = torch.cuda.device_count()
    if number and not (number.isdecimal() and int(number) < count):
        there = " or ".join(f"cuda.{one}" for one in range(count))
        raise StartFailed(
            f"The model file asks for the device {name!r}; this machine has {count} CUDA device{'s' * (count > 1)}.",
            hint=f"Use `main_gpu: {there}`.",
        )
    return TorchDevice(name, f"{name}, {torch.cuda.get_device_name(int(number or 0))}")
