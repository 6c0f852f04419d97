"""A BERT folder's weights as an ONNX file, with the names and shapes that Optimum's export has."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.onnx_writer import FLOAT, INT64, Graph, value_info

_DTYPES = {"F32": "<f4", "I64": "<i8"}
_EPSILON = 1e-12


def export_bert(folder: Path, path: Path, *, states: str = "last_hidden_state") -> Path:
    """Write `folder`'s encoder to `path`; `states` is the name of its output.

    Source of the graph: Devlin et al., BERT (2019), section 3, as transformers computes it.
    """
    config = json.loads((folder / "config.json").read_text())
    weights = _read(folder / "model.safetensors")
    heads = config["num_attention_heads"]
    width = config["hidden_size"] // heads
    graph = Graph()

    def dense(given: str, name: str) -> str:
        weight = graph.constant(weights[f"{name}.weight"].T.copy())
        return graph.node("Add", graph.node("MatMul", given, weight), graph.constant(weights[f"{name}.bias"]))  # fmt: skip

    def norm(given: str, name: str) -> str:
        scale, bias = (graph.constant(weights[f"{name}.{part}"]) for part in ("weight", "bias"))
        epsilon = float(config.get("layer_norm_eps", _EPSILON))
        return graph.node("LayerNormalization", given, scale, bias, axis=-1, epsilon=epsilon)

    def split(given: str) -> str:
        shaped = graph.node("Reshape", given, graph.constant([0, 0, heads, width]))
        return graph.node("Transpose", shaped, perm=[0, 2, 1, 3])

    def looked_up(name: str, ids: str) -> str:
        return graph.node("Gather", graph.constant(weights[f"embeddings.{name}.weight"]), ids)

    length = graph.node("Gather", graph.node("Shape", "input_ids"), graph.constant(1))
    places = graph.node("Range", graph.constant(0), length, graph.constant(1))
    pieces = graph.node("Add", looked_up("word_embeddings", "input_ids"), looked_up("token_type_embeddings", "token_type_ids"))  # fmt: skip
    states_ = norm(graph.node("Add", pieces, looked_up("position_embeddings", places)), "embeddings.LayerNorm")  # fmt: skip
    seen = graph.node("Unsqueeze", graph.node("Cast", "attention_mask", to=FLOAT), graph.constant([1, 2]))  # fmt: skip
    hidden = graph.node("Mul", graph.node("Sub", graph.constant(1.0), seen), graph.constant(-1e9))
    for layer in range(config["num_hidden_layers"]):
        at = f"encoder.layer.{layer}."
        query, key, value = (
            split(dense(states_, f"{at}attention.self.{part}"))
            for part in ("query", "key", "value")
        )
        scores = graph.node("MatMul", query, graph.node("Transpose", key, perm=[0, 1, 3, 2]))
        scaled = graph.node("Div", scores, graph.constant(width**0.5))
        share = graph.node("Softmax", graph.node("Add", scaled, hidden), axis=-1)
        seen_ = graph.node("Transpose", graph.node("MatMul", share, value), perm=[0, 2, 1, 3])
        joined = graph.node("Reshape", seen_, graph.constant([0, 0, heads * width]))
        out = dense(joined, f"{at}attention.output.dense")
        states_ = norm(graph.node("Add", out, states_), f"{at}attention.output.LayerNorm")
        wide = dense(states_, f"{at}intermediate.dense")
        erf = graph.node("Erf", graph.node("Div", wide, graph.constant(2**0.5)))
        half = graph.node("Mul", wide, graph.constant(0.5))
        gelu = graph.node("Mul", half, graph.node("Add", erf, graph.constant(1.0)))
        out = dense(gelu, f"{at}output.dense")
        states_ = norm(graph.node("Add", out, states_), f"{at}output.LayerNorm")
    graph.node("Identity", states_, output=states)
    path.parent.mkdir(parents=True, exist_ok=True)
    inputs = ("input_ids", "attention_mask", "token_type_ids")
    graph.write(
        path,
        [value_info(name, INT64, ["batch", "length"]) for name in inputs],
        [value_info(states, FLOAT, ["batch", "length", heads * width])],
    )
    return path


def _read(path: Path) -> dict[str, NDArray[Any]]:
    """The tensors of a safetensors file."""
    data = path.read_bytes()
    (size,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + size])
    header.pop("__metadata__", None)
    return {
        name: np.frombuffer(
            data, _DTYPES[one["dtype"]], count=int(np.prod(one["shape"])), offset=8 + size + one["data_offsets"][0]
        ).reshape(one["shape"])
        for name, one in header.items()
    }  # fmt: skip
