"""GPUs as NVIDIA's driver describes them; the library is played by an object."""

from __future__ import annotations

from typing import Any

import pytest

from localai.hardware import Gpu, gpus

GB = 1_000_000_000


class Driver:
    """NVML with these cards; `broken` are the functions that fail."""

    def __init__(self, *cards: Gpu, broken: str = "") -> None:
        self.cards = cards
        self.broken = broken
        self.open = 0

    def _code(self, name: str) -> int:
        return 999 if name == self.broken else 0

    def nvmlInit_v2(self) -> int:  # noqa: N802 - its name in the library
        self.open += self.broken != "init"
        return self._code("init")

    def nvmlShutdown(self) -> int:  # noqa: N802
        self.open -= 1
        return 0

    def nvmlDeviceGetCount_v2(self, count: Any) -> int:  # noqa: N802
        count._obj.value = len(self.cards)
        return self._code("count")

    def nvmlDeviceGetHandleByIndex_v2(self, index: Any, handle: Any) -> int:  # noqa: N802
        handle._obj.value = index.value + 1
        return self._code("handle")

    def nvmlDeviceGetMemoryInfo(self, handle: Any, memory: Any) -> int:  # noqa: N802
        card = self.cards[handle.value - 1]
        memory._obj.total, memory._obj.free = card.memory_bytes, card.free_bytes
        memory._obj.used = card.memory_bytes - card.free_bytes
        return self._code("memory")

    def nvmlDeviceGetName(self, handle: Any, name: Any, size: Any) -> int:  # noqa: N802
        name.value = self.cards[handle.value - 1].name.encode()[: size.value - 1]
        return self._code("name")


CARDS = (
    Gpu(name="NVIDIA L4", memory_bytes=24 * GB, free_bytes=20 * GB),
    Gpu(name="NVIDIA T4", memory_bytes=16 * GB, free_bytes=16 * GB),
)


def test_every_card_with_its_memory() -> None:
    driver = Driver(*CARDS)
    assert gpus(lambda _: driver) == CARDS
    assert driver.open == 0


@pytest.mark.parametrize("broken", ["init", "count", "handle", "memory"])
def test_a_driver_that_does_not_answer_means_no_cards(broken: str) -> None:
    driver = Driver(*CARDS, broken=broken)
    assert gpus(lambda _: driver) == ()
    assert driver.open == 0


def test_without_a_driver_there_are_none() -> None:
    def load(name: str) -> Any:
        raise OSError(name)

    assert gpus(load) == ()
