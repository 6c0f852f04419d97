"""Thinking, in every API, whole and streamed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.features.apis import Api, Wish
from tests.gguf_maker import THINKING, make_scripted
from tests.live import LiveServer


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("thoughts") / "models"
    folder.mkdir()
    thoughts = ["<think>", "Hm", "m.", "</think>", "All", " done"]
    make_scripted(folder / "thinker.gguf", thoughts, template=THINKING)
    with LiveServer(folder) as running:
        yield running


@pytest.mark.covers("Thoughts stand apart from the answer", "chat responses messages ollama")
def test_thoughts_stand_apart(server: LiveServer, api: Api, *, streams: bool) -> None:
    heard = api.ask(server, "thinker", Wish(), streams=streams)
    assert (heard.thought, heard.text, heard.end) == ("Hmm.", "All done", api.ends["text"])


@pytest.mark.covers(
    "A request says whether the model thinks, and how much", "chat responses messages ollama"
)
def test_thinking_is_switched(server: LiveServer, api: Api, *, streams: bool) -> None:
    """A template that is told not to let the model think closes its thoughts in the prompt."""
    limit = 2048  # Anthropic's budget is less than that
    usual, high, none = (
        api.ask(server, "thinker", Wish(effort=effort, limit=limit), streams=streams).prompt_tokens
        for effort in ("", "high", "none")
    )
    assert usual == high
    assert none == usual + len("<think>\n\n</think>\n\n")  # a token is a byte
