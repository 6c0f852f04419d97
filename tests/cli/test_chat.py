"""Talking to a model in the terminal: one answer, a conversation, and stopping an answer."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from localai.cli.conversation import Conversation
from localai.domain.generation import Chat
from tests.live import PATIENCE_S, clean_environment, echo_yaml, run_cli, write_models
from tests.terminal import terminal


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_models(
        tmp_path / "models",
        {"echo.yaml": echo_yaml("echo"), "slow.yaml": echo_yaml("slow", delay_s=0.5)},
    )
    return tmp_path


def talk(folder: Path, *arguments: str, said: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "localai", *arguments], input=said, capture_output=True, text=True,
        check=False, cwd=folder, env=clean_environment(HOME=str(folder)), timeout=PATIENCE_S,
    )  # fmt: skip


def test_one_answer_goes_to_stdout_and_nothing_else(folder: Path) -> None:
    done = run_cli("run", "echo", "--prompt", "one two three", folder=folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, "one two three\n", "")
    piped = talk(folder, "chat", "echo", "--prompt", "-", "--json", said="from stdin")
    said = json.loads(piped.stdout)
    assert (said["text"], said["finish_reason"]) == ("from stdin", "stop")
    assert said["completion_tokens"] > 0


def test_a_model_that_is_not_there(folder: Path) -> None:
    done = run_cli("chat", "ecko", "--prompt", "hi", folder=folder)
    assert done.returncode == 1
    assert "'echo'" in done.stderr
    assert done.stdout == ""


def test_a_conversation_with_commands(folder: Path) -> None:
    lines = ["hello", "/set temperature 0.5", '"""', "two", 'lines"""', "/nonsense", "/save said.json", "/exit", "not asked"]  # fmt: skip
    done = talk(folder, "chat", "echo", said="\n".join(lines) + "\n")
    assert done.returncode == 0
    assert done.stdout == "hello\ntwo lines\n"
    assert "temperature is 0.5." in done.stderr
    assert "There is no command /nonsense" in done.stderr
    saved = json.loads((folder / "said.json").read_text())
    assert [one["content"] for one in saved] == ["hello", "hello", "two\nlines", "two lines"]


def test_ctrl_c_stops_the_answer_only(folder: Path) -> None:
    """In a real terminal, because that is what turns the key into a signal."""
    with terminal(folder, "chat", "slow") as shown:
        shown.until(">>> ")
        shown.type("first" + " word" * 9 + "\n")
        shown.until("\nfirst word")  # what is answered; what was typed stands behind the prompt
        shown.type("\x03")
        shown.until("(stopped)")
        shown.until(">>> ")
        shown.interrupt_until("/exit leaves")
        shown.until(">>> ")
        shown.type("again\n")
        shown.until("\nagain")
        shown.until(">>> ")
        shown.type("/exit\n")


def contents(conversation: Conversation) -> list[tuple[str, str]]:
    prompt = conversation.request.prompt
    assert isinstance(prompt, Chat)
    return [(one.role.value, one.text) for one in prompt.messages]


def test_what_commands_do_to_a_conversation(tmp_path: Path) -> None:
    talked = Conversation(model="m")
    talked.ask("a")
    talked.answered("b")
    talked.ask("c")
    talked.answered("")  # it was stopped at once
    assert contents(talked) == [("user", "a"), ("assistant", "b")]
    assert talked.take_back()
    assert contents(talked) == [("user", "a")]
    assert talked.command("/system Be kind.") == "System prompt: Be kind."
    path = tmp_path / "said.json"
    assert "Saved 2" in talked.command(f"/save {path}")
    assert talked.command("/clear")
    assert contents(talked) == [("system", "Be kind.")]
    assert not talked.take_back()
    other = Conversation(model="m")
    assert "Loaded 2" in other.command(f"/load {path}")
    assert contents(other) == [("system", "Be kind."), ("user", "a")]
    assert "no value" in talked.command("/set seed x")
    assert "/set knows" in talked.command("/set colour red")
    assert talked.command("/set max_tokens 5") == "max_tokens is 5."
    assert talked.request.max_tokens == 5
    for wrong in (
        "/save",
        "/load",
        f"/save {tmp_path}/no/such/file",
        f"/load {tmp_path}/none.json",
    ):
        assert talked.command(wrong)
