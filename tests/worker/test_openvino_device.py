"""Which device OpenVINO is told to use, on machines with and without Intel's GPUs and NPUs."""

from __future__ import annotations

import pytest

from localai.domain.errors import StartFailed
from localai.worker.openvino_device import choose_device

NAMES = {"CPU": "Intel Core Ultra 7", "GPU.0": "Intel Arc", "GPU.1": "Intel Flex", "NPU": "Intel AI Boost"}  # fmt: skip


class Core:
    """What OpenVINO says of a machine."""

    def __init__(self, *devices: str) -> None:
        self.available_devices = devices

    def get_property(self, name: str, _: str) -> str:
        return NAMES[name]


class Compiled:
    """What a compiled model says of itself."""

    def __init__(self, *devices: str) -> None:
        self._devices = devices

    def get_property(self, _: str) -> list[str]:
        return list(self._devices)


LAPTOP = Core("CPU", "GPU.0", "NPU")
SERVER = Core("CPU")


@pytest.mark.parametrize(
    ("core", "wanted", "name"),
    [
        (SERVER, "", "CPU"),
        (LAPTOP, "", "AUTO"),
        (LAPTOP, "AUTO", "AUTO"),
        (LAPTOP, "CPU", "CPU"),
        (LAPTOP, "gpu", "GPU"),
        (LAPTOP, "GPU.0", "GPU.0"),
        (LAPTOP, "NPU", "NPU"),
        (LAPTOP, "AUTO:-CPU", "AUTO:GPU.0,NPU"),
        (LAPTOP, "AUTO: NPU, CPU", "AUTO:NPU,CPU"),
        (LAPTOP, "MULTI", "MULTI:GPU.0,NPU,CPU"),
        (LAPTOP, "MULTI:CPU,GPU", "MULTI:CPU,GPU"),
        (LAPTOP, "HETERO", "HETERO:GPU.0,NPU,CPU"),
        (LAPTOP, "HETERO:GPU,CPU", "HETERO:GPU,CPU"),
        (SERVER, "MULTI", "MULTI:CPU"),
    ],
)
def test_the_words_of_main_gpu(core: Core, wanted: str, name: str) -> None:
    assert choose_device(core, wanted).name == name


@pytest.mark.parametrize(
    ("core", "wanted", "words"),
    [
        (SERVER, "GPU", "found no GPU: it found CPU"),
        (SERVER, "cuda.0", "found no CUDA.0"),
        (SERVER, "AUTO:-CPU", "leaves no device"),
        (SERVER, "MULTI:CPU,GPU", "found no GPU"),
        (LAPTOP, "GPU.1", "found no GPU.1"),
        (LAPTOP, "HETERO:-CPU,-GPU,-NPU", "leaves no device"),
    ],
)
def test_what_is_not_there_is_told(core: Core, wanted: str, words: str) -> None:
    with pytest.raises(StartFailed) as caught:
        choose_device(core, wanted)
    assert words in caught.value.message
    assert wanted in caught.value.message


@pytest.mark.parametrize(
    ("core", "wanted", "used", "said"),
    [
        (SERVER, "", ("CPU",), "CPU (Intel Core Ultra 7), the only device that OpenVINO found"),
        (SERVER, "CPU", ("CPU",), "CPU (Intel Core Ultra 7)"),
        (LAPTOP, "", ("GPU.0",), "GPU.0 (Intel Arc), as AUTO chose"),
        (LAPTOP, "MULTI", ("GPU.0", "(CPU)"), "GPU.0 (Intel Arc), CPU (Intel Core Ultra 7), as MULTI:GPU.0,NPU,CPU chose"),
        (LAPTOP, "NPU", (), "NPU (Intel AI Boost)"),
    ],
)  # fmt: skip
def test_what_people_are_told(core: Core, wanted: str, used: tuple[str, ...], said: str) -> None:
    assert choose_device(core, wanted).said(Compiled(*used)) == said
