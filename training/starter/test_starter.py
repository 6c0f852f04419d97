"""Quick tests of the generators: run ``python test_starter.py`` (no framework, a few seconds)."""

from __future__ import annotations

import json
from random import Random

import cases
import mix
import text_chat
import text_edit
import text_facts
import text_install
import text_repeat
import text_story
import text_tools
from jinja2 import Environment
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
        (text_install.INSTALL_NAMED, text_install.HELD_INSTALL_NAMED),
        (text_install.INSTALL_ANY, text_install.HELD_INSTALL_ANY),
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


def test_composed_story_requests_are_not_held_out() -> None:
    """Story requests are made from parts; none of them is one of the evaluation's."""
    r = Random(8)
    assert not {text_story.chat_story(r, False)[0] for _ in range(5000)} & {*cases.STORY_REQUESTS}


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


def test_chat_template_writes_what_is_trained() -> None:
    """The template and ``mix.render`` agree; jinja2 comes with torch."""
    environment = Environment(autoescape=False)  # noqa: S701 - this writes no web page
    environment.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
    r, template = Random(7), environment.from_string(mix.TEMPLATE.read_text())
    for i in range(500):
        turns, offered = mix.tool_chat(r) if i % 2 else mix.drill(r)
        system = mix.system_prompt(r) if r.random() < 0.4 else ""
        text = "".join(t for t, _ in mix.render(turns, offered, system))
        assert template.render(**template_input(turns, offered, system)) == text


def template_input(turns: list, offered: list, system: str) -> dict:
    """A conversation as a chat request spells it."""
    messages = [{"role": "system", "content": system}] if system else []
    for m in turns:
        if "call" in m:
            name, args = m["call"]
            call = {"function": {"name": name, "arguments": args}}
            messages.append({"role": "assistant", "content": "", "tool_calls": [call]})
        else:
            messages.append({"role": m["role"], "content": m["content"]})
    return {"messages": messages, "tools": [t.as_json() for t in offered]}


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
