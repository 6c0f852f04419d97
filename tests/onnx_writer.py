"""ONNX files in a hundred lines: enough of the format for the small graphs of tests.

Source: onnx.proto of github.com/onnx/onnx (field numbers) and the encoding of protocol buffers.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FLOAT, INT64 = 1, 7
_ATTRIBUTES = {float: (2, 1), int: (3, 2), str: (4, 3), list: (8, 7)}  # field number, type


def varint(number: int) -> bytes:
    """A number in groups of seven bits, the lowest first."""
    number &= (1 << 64) - 1
    groups = []
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*groups, number])


def field(number: int, value: bytes | str | float) -> bytes:
    """One field of a message."""
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def tensor(name: str, values: NDArray[Any]) -> bytes:
    """A constant: float32 or int64."""
    kind = INT64 if values.dtype == np.int64 else FLOAT
    plain = values if kind == INT64 else values.astype(np.float32)
    dims = b"".join(field(1, size) for size in values.shape)
    return dims + field(2, kind) + field(8, name) + field(9, plain.tobytes())


def value_info(name: str, kind: int, shape: Sequence[int | str]) -> bytes:
    """An input or output; a text in the shape is a free size."""
    dims = b"".join(
        field(1, field(1, size) if isinstance(size, int) else field(2, size)) for size in shape
    )
    return field(1, name) + field(2, field(1, field(1, kind) + field(2, dims)))


class Graph:
    """A graph that is built node by node; each node gives one value, named by a number."""

    def __init__(self) -> None:
        self._nodes: list[bytes] = []
        self._constants: list[bytes] = []

    def constant(self, values: Any) -> str:
        """A constant; the name of its value."""
        array = np.asarray(values)
        name = f"c{len(self._constants)}"
        whole = array.astype(np.int64) if array.dtype.kind == "i" else array.astype(np.float32)
        self._constants.append(tensor(name, whole))
        return name

    def node(self, kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """A node; the name of its value."""
        name = output or f"v{len(self._nodes)}"
        body = b"".join(field(1, one) for one in inputs) + field(2, name) + field(4, kind)
        for key, value in attributes.items():
            place, code = _ATTRIBUTES[type(value)]
            values = value if isinstance(value, list) else [value]
            body += field(
                5, field(1, key) + b"".join(field(place, v) for v in values) + field(20, code)
            )
        self._nodes.append(body)
        return name

    def write(self, path: Path, inputs: Sequence[bytes], outputs: Sequence[bytes]) -> None:
        """Write the file; inputs and outputs are made with `value_info`."""
        graph = b"".join(field(1, node) for node in self._nodes) + field(2, "graph")
        graph += b"".join(field(5, constant) for constant in self._constants)
        graph += b"".join(field(11, one) for one in inputs)
        graph += b"".join(field(12, one) for one in outputs)
        opset = field(1, "") + field(2, 17)
        path.write_bytes(field(1, 9) + field(2, "tests") + field(7, graph) + field(8, opset))
