"""A model of transformers in its ONNX form, computed by ONNX Runtime (https://onnxruntime.ai, MIT).

Devices   cpu
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from localai.domain.errors import ModelFileInvalid
from localai.worker.hf.exported import Exported

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class OnnxModel(Exported):
    """`threads` is how many compute one batch.

    Raises ModelFileInvalid for a file that ONNX Runtime cannot read, or of another kind.
    """

    device_sentence = "CPU, which is what ONNX Runtime computes on here"

    def __init__(self, path: Path, config: Any, *, threads: int) -> None:
        import onnxruntime
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
        wanted = [one.name for one in session.get_inputs()]
        given = [one.name for one in session.get_outputs()]
        super().__init__(path, config, wanted=wanted, given=given)
        self._session = session

    def compute(self, inputs: Mapping[str, Any], output: str) -> Any:
        """The array `output` of arrays by name."""
        (found,) = self._session.run([output], dict(inputs))
        return found
