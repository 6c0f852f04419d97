"""What ONNX Runtime raises for a file that it cannot use."""

from __future__ import annotations

from typing import Final

from onnxruntime.capi import onnxruntime_pybind11_state as raised

ONNX_ERRORS: Final[tuple[type[Exception], ...]] = (
    raised.Fail,
    raised.InvalidArgument,
    raised.InvalidGraph,
    raised.InvalidProtobuf,
    raised.NoSuchFile,
    raised.NotImplemented,
    raised.RuntimeException,
)
