"""The demonstration in docs/demo.md: search, install and run, against a hub on loopback.

To write the page anew: python -m tests.cli.demo
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from importlib import resources
from pathlib import Path

from tests.hub import Hub, hub
from tests.live import PATIENCE_S, clean_environment
from tests.terminal import terminal

PAGE = Path(__file__).parents[2] / "docs" / "demo.md"
HEAD = """\
# One name, and it answers

Recorded by `python -m tests.cli.demo`, against a model hub on the same machine: the files are the small
model that comes with this package, under the names of a larger one. Lines after `$` are typed, the rest is
what `local-ai` said.
"""
INDEX = """\
- name: demo-chat
  description: A small model for demonstrations.
  license: mit
  tags: [text, small]
  size: 3MB
  variants: [{model: demo-chat-f16}]
  overrides: {parameters: {model: demo-chat-Q8_0.gguf}}
  files: [{filename: demo-chat-Q8_0.gguf, sha256: SUM, uri: "huggingface://demo/chat-GGUF/demo-chat-Q8_0.gguf"}]
- name: demo-chat-f16
  description: demo-chat with weights of 16 bits.
  license: mit
  size: 6MB
  overrides: {parameters: {model: demo-chat-F16.gguf}}
  files: [{filename: demo-chat-F16.gguf, sha256: SUM, uri: "huggingface://demo/chat-GGUF/demo-chat-F16.gguf"}]
"""


@dataclass
class Stage:
    """A folder to work in, a hub, and what was shown so far."""

    folder: Path
    environment: dict[str, str]
    hub: Hub
    text: str = ""

    def run(self, line: str) -> str:
        """Run a command line; gives what it said on both streams, as a terminal shows it."""
        done = subprocess.run(
            [sys.executable, "-m", "localai", *shlex.split(line)[1:]], cwd=self.folder, check=False,
            env=clean_environment(HOME=str(self.folder), **self.environment), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=PATIENCE_S,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout
        self.text += f"$ {line}\n{done.stdout.rstrip()}\n\n"
        return done.stdout

    def chat(self, line: str, questions: list[str]) -> str:
        """Talk in a terminal; gives what it showed."""
        with terminal(self.folder, *shlex.split(line)[1:], environment=self.environment) as shown:
            for question in questions:
                shown.until(">>> ")
                shown.type(f"{question}\n")
            shown.until(questions[-1])
        self.text += f"$ {line}\n{shown.shown.replace(chr(13), '').rstrip()}\n\n"
        return shown.shown


@contextmanager
def stage(folder: Path) -> Iterator[Stage]:
    """A hub with a repository and a gallery, and an empty folder."""
    data = resources.files("localai").joinpath("starter/starter.gguf").read_bytes()
    with hub() as made:
        made.repositories["demo/chat-GGUF"] = {
            "README.md": b"# demo",
            "demo-chat-Q4_K_M.gguf": data,
            "demo-chat-Q8_0.gguf": data,
            "demo-chat-F16.gguf": data,
        }
        made.pages["/index.yaml"] = INDEX.replace("SUM", sha256(data).hexdigest()).encode()
        galleries = [{"name": "demo", "url": f"{made.address}/index.yaml"}]
        environment = {
            "LOCALAI_GALLERIES": json.dumps(galleries),
            "HF_ENDPOINT": made.address,
            "HF_HUB_OFFLINE": "",
            "HF_TOKEN": "",
            "COLUMNS": "100",
        }
        yield Stage(folder, environment, made)


def play(on: Stage) -> None:
    """The scenes, in order; each is checked."""
    assert "demo-chat" in on.run("local-ai models search demo")
    assert "weights of 16 bits answer no better" in on.run("local-ai models info demo-chat")
    assert "demo-chat is installed." in on.run("local-ai models install demo-chat")
    said = on.run("local-ai run demo-chat --prompt 'Hello!'")
    assert said.startswith("Hello")
    said = on.run("local-ai run demo/chat-GGUF:Q4_K_M --prompt 'Hello!'")
    assert "demo-chat-Q4_K_M.gguf" in said
    assert "demo-chat" in on.run("local-ai models list")
    assert "works with llama-cpp" in on.run("local-ai models check demo-chat")
    on.chat("local-ai chat demo-chat", ["What can you do?", "/exit"])


def page(text: str, address: str) -> str:
    """The page of what was shown, without what is different every time."""
    shown = text.replace(address, "http://127.0.0.1:8099")
    shown = re.sub(r"@[0-9a-f]{40}", "@5d0f", shown)
    shown = re.sub(r"[ ]+$", "", shown, flags=re.MULTILINE)
    return f"{HEAD}\n```text\n{shown.rstrip()}\n```\n"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary, stage(Path(temporary)) as made:
        play(made)
        PAGE.write_text(page(made.text, made.hub.address).replace(temporary, "~/demo"))
