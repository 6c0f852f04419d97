"""A model folder as OpenVINO's users publish it: converted, with weights of eight bits.

python -m tests.openvino_maker SOURCE FOLDER     (in the environment of openvino)
"""

from __future__ import annotations

import sys
from pathlib import Path


def convert(source: Path, folder: Path) -> None:
    """Write the causal language model in `source` into `folder`."""
    from optimum.intel import OVModelForCausalLM
    from transformers import AutoTokenizer

    model = OVModelForCausalLM.from_pretrained(source, export=True, load_in_8bit=True)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(source).save_pretrained(folder)


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
