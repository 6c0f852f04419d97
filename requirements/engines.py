"""Pins every engine of the manifest: one hash-pinned file for each variant, in src/localai/backends/locks.

    python requirements/engines.py [--upgrade] [NAME...]

PyTorch itself is left out of the files: its build depends on the hardware, comes from PyTorch's own
index and is installed first. What it needs is in them. On a variant that has no NVIDIA card, the
packages that only carry NVIDIA's libraries are left out as well.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from localai.engines.manifest import Manifest, Variant
from localai.engines.plan import WORKER_PACKAGES

LOCKS = Path(__file__).parents[1] / "src" / "localai" / "backends" / "locks"
UV = Path(sys.executable).parent / "uv"
NVIDIA = re.compile(r"^(nvidia-|cuda-|triton\b)")
# What a package asks for and our use of it does not need.
NOT_NEEDED = {
    # images, in a build that wants NVIDIA's torch; and reports about its users to its makers
    "openvino": ["torchvision", "openvino-telemetry"],
    "sentencetransformers": ["openvino-telemetry"],
    "silero-vad": ["torch", "torchaudio"],  # for its Python code; we run its model's file
}
COMPILE = [
    "pip", "compile", "--quiet", "--universal", "--generate-hashes", "--no-emit-index-url",
    "--no-emit-find-links", "--no-annotate", "--custom-compile-command", "make lock",
]  # fmt: skip


def lock(name: str, python: str, variant: Variant, *, upgrade: bool) -> None:
    """Write the file of one variant."""
    wanted = [*WORKER_PACKAGES, *variant.requires]
    left_out = []
    if variant.torch:
        wanted.append(f"torch=={variant.torch}")
        left_out = ["--no-emit-package", "torch"]
    least = re.search(r">=\s*(\d+\.\d+)", python)
    path = LOCKS / f"{name}-{variant.name}.txt"
    command = [
        UV, *COMPILE, "--python-version", least[1] if least else "3.11", *left_out,
        *(["--upgrade"] if upgrade else []), "--output-file", path, "-",
    ]  # fmt: skip
    folder = os.environ.get("PIP_FIND_LINKS")
    if folder and not variant.name.startswith("cuda"):  # the common index has the CUDA 13 build
        command += ["--find-links", folder]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as overrides:
        overrides.writelines(
            f"{package}; python_version < '0'\n" for package in NOT_NEEDED.get(name, ())
        )
        overrides.flush()
        command += ["--override", overrides.name]
        subprocess.run(command, input="\n".join(wanted), text=True, check=True)
    if not variant.name.startswith("cuda"):
        path.write_text(without_nvidia(path.read_text()))


def without_nvidia(text: str) -> str:
    """The file without NVIDIA's libraries. A requirement and its hashes are one paragraph."""
    paragraphs = re.split(r"\n(?=\S)", text.removesuffix("\n"))
    return "\n".join(part for part in paragraphs if not NVIDIA.match(part)) + "\n"


def main() -> None:
    """Write the files of all engines, or of those named."""
    names = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    LOCKS.mkdir(exist_ok=True)
    for entry in Manifest().entries():
        if names and entry.name not in names:
            continue
        for variant in entry.variants:
            print(f"{entry.name} ({variant.name})", flush=True)
            lock(entry.name, entry.python, variant, upgrade="--upgrade" in sys.argv)


if __name__ == "__main__":
    main()
