"""A model of transformers in an exported form, standing where a library expects the model itself.

Files     `onnx/model.onnx` or `model.onnx`, `openvino/openvino_model.xml` or `openvino_model.xml`
          beside config.json, as Optimum exports them; also the smaller ones of eight bits that many
          repositories have
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from localai.domain.errors import ModelFileInvalid, SpecInvalid

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

USUAL_ONNX: Final = ("onnx/model.onnx", "model.onnx")
USUAL_OPENVINO: Final = ("openvino/openvino_model.xml", "openvino_model.xml")
INPUTS: Final = ("input_ids", "attention_mask", "token_type_ids")
STATES: Final = "last_hidden_state"
_OUTPUTS: Final = (STATES, "token_embeddings", "logits")  # the first that there is counts


def below_folder(file_name: str) -> str:
    """`file_name`, which a model file wants. Raises SpecInvalid when it leads out of the folder."""
    if PurePosixPath(file_name).is_absolute() or ".." in PurePosixPath(file_name).parts:
        message = (
            f"options: file_name is {file_name!r}; it must be a path below the model's folder."
        )
        raise SpecInvalid(message)
    return file_name


def first_of(folder: Path, names: Sequence[str]) -> Path | None:
    """The first of these files that a model has; None when it has none."""
    return next((folder / name for name in names if (folder / name).is_file()), None)


class Exported(ABC):
    """Takes the inputs of a model of transformers, and names its output alike.

    `config` is the model's, `wanted` the inputs and `given` the outputs of the form in `path`. Several
    threads may call it at once. Raises ModelFileInvalid for a form of another kind.
    """

    device_sentence: str  # where it computes, for people

    def __init__(
        self, path: Path, config: Any, *, wanted: Collection[str], given: Sequence[str]
    ) -> None:
        import torch

        self._wanted = frozenset(wanted)
        self._output = next((name for name in _OUTPUTS if name in given), "")
        if not self._wanted <= set(INPUTS) or not self._output:
            message = (
                f"{path} takes {', '.join(sorted(wanted))} and gives {', '.join(given)}; "
                f"an encoder takes {', '.join(sorted(INPUTS))} and gives one of {', '.join(_OUTPUTS)}."
            )
            raise ModelFileInvalid(message, path=str(path))
        self.config = config
        self.device = torch.device("cpu")
        self.dtype = torch.float32

    def forward(
        self, input_ids: Any, attention_mask: Any = None, token_type_ids: Any = None, **_: Any
    ) -> dict[str, Any]:
        """The states of each token, or the scores: tensors of float32."""
        import torch

        inputs = {"input_ids": input_ids}
        if "attention_mask" in self._wanted:
            inputs["attention_mask"] = (
                torch.ones_like(input_ids) if attention_mask is None else attention_mask
            )
        if "token_type_ids" in self._wanted:
            inputs["token_type_ids"] = (
                torch.zeros_like(input_ids) if token_type_ids is None else token_type_ids
            )
        found = self.compute({name: value.numpy() for name, value in inputs.items()}, self._output)
        tensor = torch.from_numpy(found).float()
        return {self._output: tensor, STATES: tensor}

    def modules(self) -> list[Any]:
        """None: what it is made of is in the file."""
        return []

    @abstractmethod
    def compute(self, inputs: Mapping[str, Any], output: str) -> Any:
        """The array `output` of arrays by name."""
