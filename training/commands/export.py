"""Write the trained recogniser as one small file.

usage: export.py WORK_DIR FILE.npz

The file holds the weights in 16 bits under the names of Whisper's first release. Instead of the
table of 51,865 tokens it holds the learnt rows: `rows`, one for each of `tokens`, the last for every
token that never occurs; `times`, a linear map (`times_bias` is added) of the sinusoids of a time.
`words` are the tokens from 256 on; single bytes come before them. The sinusoids of the encoder's
positions are left out.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import model as net
import numpy as np
import torch
import words

UNSEEN = 40  # positions of the decoder beyond this one are never reached, and left out


def exported(checkpoint: Path) -> dict[str, np.ndarray]:
    """The arrays of the file."""
    network = net.Recogniser()
    network.load_state_dict(torch.load(checkpoint)["model"])
    state = {name: value.numpy() for name, value in network.state_dict().items()}
    kept = {
        name: value.astype(np.float16)
        for name, value in state.items()
        if ".blocks." in name or ".conv" in name or ".ln" in name
    }
    kept["decoder.positional_embedding"] = state["decoder.positional_embedding"][:UNSEEN].astype(
        np.float16
    )
    kept["rows"] = state["decoder.rows"].astype(np.float16)
    kept["times"] = state["decoder.times.weight"].astype(np.float16)
    kept["times_bias"] = state["decoder.times.bias"].astype(np.float16)
    kept["tokens"] = np.array(net.LEARNT, np.int32)
    kept["words"] = np.array(words.VOCABULARY)
    return kept


def main() -> None:
    """Read the arguments and write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("file", type=Path)
    args = parser.parse_args()
    np.savez_compressed(args.file, **exported(args.folder / "checkpoint.pt"))
    print(f"{args.file}: {args.file.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
