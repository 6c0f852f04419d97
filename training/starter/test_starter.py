"""Quick tests of the generators: run ``python test_starter.py`` (no framework, a few seconds)."""

from __future__ import annotations

import json
from random import Random

import cases
import mix
import text_chat
import text_edit
import text_facts
import text_repeat
import text_tools
from words import HELD_CITIES, HELD_NAMES, HELD_WORDS


def test_examples_are_well_formed() -> None:
    """Every example ends its last turn, and no slot of a phrase is left open."""
    r = Random(1)
    for i in range(3000):
        text = "".join(t for t, _ in mix.example(r, i / 3000))
        assert text.rstrip("\n").endswith(mix.END), text
        assert not any(slot in text for slot in ("{x}", "{n}", "{m}", "{w}", "{s}")), text


def test_same_seed_same_text() -> None:
    """A build is reproducible because the text is."""
    first, second = ([mix.example(Random(s), 0.5) for s in range(50)] for _ in range(2))
    assert first == second


def test_held_out_phrasings_are_not_trained() -> None:
    """No held-out phrasing is in a training list."""
    for train, held in [
        (text_repeat.ASK, text_repeat.HELD_ASK),
        (text_chat.HELLO, text_chat.HELD_HELLO),
        (text_chat.FINE, text_chat.HELD_FINE),
        (text_chat.WHO, text_chat.HELD_WHO),
        (text_chat.CAN, text_chat.HELD_CAN),
        (text_chat.INSTALL_NAMED, text_chat.HELD_INSTALL_NAMED),
        (text_chat.INSTALL_ANY, text_chat.HELD_INSTALL_ANY),
        (text_chat.UNKNOWN, text_chat.HELD_UNKNOWN),
        (text_facts.CAPITAL_ASK, text_facts.HELD_CAPITAL_ASK),
        (text_facts.COLOR_ASK, text_facts.HELD_COLOR_ASK),
        (text_facts.ADD_ASK, text_facts.HELD_ADD_ASK),
        (text_facts.SUB_ASK, text_facts.HELD_SUB_ASK),
        (text_edit.REPHRASE, text_edit.HELD_REPHRASE),
        (text_edit.SHORTEN, text_edit.HELD_SHORTEN),
        (text_tools.NOUNS, text_tools.HELD_NOUNS),
    ]:
        assert not set(train) & set(held), set(train) & set(held)


def test_held_number_pairs_are_not_trained() -> None:
    """The sums of the evaluation are new to the model."""
    r = Random(2)
    for _ in range(2000):
        _, answer = text_facts.sums(r, False)
        a, _, b, _, _ = answer.split()
        assert not text_facts.is_held_pair(int(a), int(b))


def test_calls_are_json_with_known_tools() -> None:
    """A call names an offered tool, and its values stand in the question."""
    r = Random(3)
    for _ in range(1000):
        asked = text_tools.request(r, False)
        assert asked.tool in asked.tools
        for value in asked.args.values():
            assert str(value) in asked.question or str(value)[:1].upper() in asked.question
        text = "".join(t for t, _ in mix.render(mix.call_turns(r, asked), asked.tools))
        call = text.split("<tool_call>\n")[1].split("\n</tool_call>")[0]
        assert json.loads(call) == {"name": asked.tool.name, "arguments": asked.args}


def test_no_fit_means_no_fit() -> None:
    """The tools left over are about something else."""
    r = Random(4)
    for _ in range(500):
        asked = text_tools.request(r, False)
        assert asked.tool not in text_tools.without_fit(r, False, asked)


def test_cases_are_enough() -> None:
    """The table rests on at least a hundred cases wherever the skill has that many."""
    small = {"Greet", 'Answer "How are you?"', "Say what it is", "Say what it can do"}
    for row in cases.ROWS:
        count = sum(1 for _ in row.cases(Random(5)))
        assert count >= (15 if row.title in small else 60), (row.title, count)


def test_held_out_words_are_apart() -> None:
    """The evaluation's names and cities are not in the training lists."""
    r = Random(6)
    seen = {w for _ in range(2000) for w in text_repeat.phrase(r, False).split()}
    assert len(seen & {*HELD_WORDS, *HELD_NAMES, *HELD_CITIES}) <= 3  # an invented word may hit one


if __name__ == "__main__":
    for name, test in list(globals().items()):
        if name.startswith("test_"):
            test()
            print("passed", name)
