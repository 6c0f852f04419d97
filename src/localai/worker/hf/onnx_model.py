"""A model of transformers in its ONNX form, computed by ONNX Runtime (https://onnxruntime.ai, MIT).

Files     `onnx/model.onnx` or `model.onnx` beside config.json, as Optimum exports them; also the
          smaller ones of eight bits that many repositories have
Devices   cpu
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from localai.domain.errors import ModelFileInvalid, SpecInvalid

if TYPE_CHECKING:
    from collections.abc import Sequence

USUAL_FILES: Final = ("onnx/model.onnx", "model.onnx")
_INPUTS: Final = frozenset({"input_ids", "attention_mask", "token_type_ids"})
_STATES: Final = "last_hidden_state"
_OUTPUTS: Final = (_STATES, "token_embeddings", "logits")  # the first that there is counts


def below_folder(file_name: str) -> str:
    """`file_name`, which a model file wants. Raises SpecInvalid when it leads out of the folder."""
    if PurePosixPath(file_name).is_absolute() or ".." in PurePosixPath(file_name).parts:
        message = (
            f"options: file_name is {file_name!r}; it must be a path below the model's folder."
        )
        raise SpecInvalid(message)
    return file_name


def find_onnx(folder: Path, names: Sequence[str]) -> Path | None:
    """The first of these files that a model has; None when it has none."""
    return next((folder / name for name in names if (folder / name).is_file()), None)


class OnnxModel:
    """Stands where a model of transformers does: it takes the same inputs, and names its output alike.

    `config` is the model's, `threads` how many compute one batch. Several threads may call it at
    once. Raises ModelFileInvalid for a file that ONNX Runtime cannot read, or of another kind.
    """

    def __init__(self, path: Path, config: Any, *, threads: int) -> None:
        import onnxruntime
        import torch
        from onnxruntime.capi import onnxruntime_pybind11_state as states

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3  # errors: the rest is about its own ways of working
        try:
            session = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except (states.Fail, states.InvalidArgument, states.InvalidGraph, states.InvalidProtobuf,
                states.NoSuchFile, states.NotImplemented, states.RuntimeException) as error:  # fmt: skip
            message = f"ONNX Runtime cannot read {path}: {str(error).splitlines()[0]}"
            raise ModelFileInvalid(message, path=str(path)) from error
        self._wanted = {one.name for one in session.get_inputs()}
        given = [one.name for one in session.get_outputs()]
        output = next((name for name in _OUTPUTS if name in given), "")
        if not self._wanted <= _INPUTS or not output:
            message = (
                f"{path} takes {', '.join(sorted(self._wanted))} and gives {', '.join(given)}; "
                f"an encoder takes {', '.join(sorted(_INPUTS))} and gives one of {', '.join(_OUTPUTS)}."
            )
            raise ModelFileInvalid(message, path=str(path))
        self._session = session
        self._output = output
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
        (found,) = self._session.run(
            [self._output], {name: value.numpy() for name, value in inputs.items()}
        )
        tensor = torch.from_numpy(found).float()
        return {self._output: tensor, _STATES: tensor}

    def modules(self) -> list[Any]:
        """None: what it is made of is in the file."""
        return []
