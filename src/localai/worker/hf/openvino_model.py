"""A model of transformers computed by OpenVINO (https://docs.openvino.ai, Apache-2.0).

Files     OpenVINO's own form, an ONNX form, or PyTorch's weights, which are converted while it loads
Devices   as `worker.openvino_device` knows them
"""

from __future__ import annotations

import inspect
import threading
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from localai.domain.errors import ModelFileInvalid, SpecInvalid
from localai.worker.hf.exported import INPUTS, STATES, Exported
from localai.worker.openvino_device import choose_device
from localai.worker.torch_device import MOST_LANES

if TYPE_CHECKING:
    from collections.abc import Mapping

PRECISIONS: Final = {"float32": "f32", "float16": "f16", "bfloat16": "bf16"}
_EXAMPLE: Final = (2, 8)  # texts and tokens; both stay open in what is converted


class OpenVinoModel(Exported):
    """`source` is a file, or a model of transformers.

    `device` is what a model file says; on the processor `threads` compute, each a batch of its own
    where there are several. `precision` is one of PRECISIONS, or empty. Raises ModelFileInvalid for
    a file that OpenVINO cannot read, StartFailed for a device that is not there, SpecInvalid where
    OpenVINO is not installed.
    """

    def __init__(
        self,
        source: Path | Any,
        config: Any,
        *,
        device: str,
        threads: int,
        precision: str = "",
    ) -> None:
        openvino = _library()
        core = openvino.Core()
        chosen = choose_device(core, device)
        path = source if isinstance(source, Path) else Path(config.name_or_path)
        graph = _read(core, source) if isinstance(source, Path) else _convert(openvino, source)
        wanted = [one.get_any_name() for one in graph.inputs]
        given = [name for one in graph.outputs for name in sorted(one.get_names())]
        super().__init__(path, config, wanted=wanted, given=given)
        settings = {"INFERENCE_PRECISION_HINT": precision} if precision else {}
        if chosen.name == "CPU":
            lanes = min(threads, MOST_LANES)
            settings |= {"NUM_STREAMS": str(lanes), "INFERENCE_NUM_THREADS": str(threads)}
        self._compiled = core.compile_model(graph, chosen.name, settings)
        self._mine = threading.local()  # a request of its own for each thread
        self.device_sentence = chosen.said(self._compiled)

    def compute(self, inputs: Mapping[str, Any], output: str) -> Any:
        """The array `output` of arrays by name."""
        request = getattr(self._mine, "request", None)
        if request is None:
            request = self._mine.request = self._compiled.create_infer_request()
        request.infer(dict(inputs))
        return request.get_tensor(output).data.copy()


def _library() -> Any:
    try:
        import openvino
    except ImportError:
        message = "options: runtime is 'openvino', which is in this engine's variant cpu only."
        hint = "Install it: local-ai backends install sentencetransformers --variant cpu"
        raise SpecInvalid(message, hint=hint) from None
    return openvino


def _read(core: Any, path: Path) -> Any:
    try:
        return core.read_model(path)
    except RuntimeError as error:
        message = f"OpenVINO cannot read {path}: {str(error).strip().splitlines()[-1]}"
        raise ModelFileInvalid(message, path=str(path)) from error


def _convert(openvino: Any, model: Any) -> Any:
    """OpenVINO's form of a model of transformers: of its states, or of its scores where it has a head."""
    import torch

    takes = [name for name in INPUTS if name in inspect.signature(model.forward).parameters]
    output = "logits" if type(model).__name__.endswith("ForSequenceClassification") else STATES

    class Plain(torch.nn.Module):  # type: ignore[misc]  # torch is not there when types are checked
        """Tensors in, a tensor out."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: Any, attention_mask: Any, token_type_ids: Any = None) -> Any:
            given = dict(zip(INPUTS, (input_ids, attention_mask, token_type_ids), strict=True))
            return getattr(self.model(**{name: given[name] for name in takes}), output)

    example = {name: torch.ones(_EXAMPLE, dtype=torch.int64) for name in takes}
    example["attention_mask"][1, -2:] = 0  # or a model may take it that there never is any padding
    with warnings.catch_warnings(), torch.inference_mode(mode=False), torch.no_grad():
        warnings.simplefilter("ignore")  # of tracing, about what holds for every text
        graph = openvino.convert_model(Plain(), example_input=example)
    for port, name in zip(graph.inputs, takes, strict=True):
        port.get_tensor().set_names({name})
    graph.outputs[0].get_tensor().set_names({output})
    return graph
