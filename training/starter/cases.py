"""The held-out cases of the evaluation.

Nothing here is trained on: other phrasings, other words, names, cities and tools, other number
pairs.  Each row of the table is one function that yields cases.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

import text_chat as chat
import text_facts as facts
import text_story as stories
import text_tools as tools
from mix import SYSTEM, system_prompt, user
from text_edit import edit
from text_install import install
from text_repeat import ASK, HELD_ASK, repeat
from words import HELD_NAMES, HELD_WORDS, NAMES, cap, lines, pick

Reply = dict[str, Any]  # the message of a chat completion, or {"content": text} of a raw one


@dataclass(frozen=True)
class Case:
    """One request, and the test that its reply has to pass."""

    messages: list[dict[str, Any]]
    check: Callable[[Reply], bool]
    want: Any = None
    tools: list[tools.Tool] = field(default_factory=list)
    prompt: str = ""  # raw text instead of messages
    temperature: float = 0.0


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    title: str
    target: int | None
    cases: Callable[[Random], Iterator[Case]]


def content(reply: Reply) -> str:
    """The text of a reply."""
    return (reply.get("content") or "").strip()


def exact(
    messages: list[dict[str, Any]], want: str, offered: list[tools.Tool] | None = None
) -> Case:
    """The whole reply has to be this text, and there must be no tool call."""

    def check(reply: Reply) -> bool:
        return not reply.get("tool_calls") and content(reply) == want

    return Case(messages, check, want, offered or [])


def _call(reply: Reply) -> tuple[str, Any]:
    calls = reply.get("tool_calls") or []
    if not calls:
        return "", None
    function = calls[0]["function"]
    try:
        return function["name"], json.loads(function["arguments"])
    except ValueError:
        return function["name"], None


def no_call(reply: Reply) -> bool:
    """No tool was called."""
    return not reply.get("tool_calls") and bool(content(reply))


PHRASES = lines("""
This is a test!
this is a test
the weather looks lovely today
I would like some fresh coffee
my dog chased a squirrel
bright colours make me smile
we should visit grandma soon
never trust a smiling cat
the train leaves at noon
hello world
good night, everyone!
she plays chess every weekend
fresh bread smells wonderful
don't forget your umbrella
programming can be fun
thirty cats cannot be wrong
please bring me two spoons
the museum opens on Monday
computers are getting smaller
winter is coming
open source software rocks
my favourite fruit is mango
birds sing before sunrise
take the second street left
Lisbon is a beautiful place
what a wonderful surprise!
I forgot my password again
pizza tastes better cold
the elevator is broken
small models can be useful
over the rainbow
Maria paints old bicycles
nobody expects bad luck
silence is golden
let's meet near the fountain
it rained for eleven days
a stitch in time
keep calm and carry on
purple elephants dance quietly
where did Thomas go?
""")
OPENINGS = lines("""
A long time ago in a galaxy far, far away
Once upon a time there was a rabbit
Once upon a time in a small town
A long time ago there was a shepherd
One day a young painter went to the harbor
One day, a hungry wolf
There once was a lonely snowman
Long ago, in a land of ice,
It was a cold evening and the old sailor
In a house at the end of the road
Once there was a boy who
A long time ago, in a castle by the sea,
One night, the little owl
Far away in the mountains there lived
The brave knight
Once upon a time, a duck and a goose
Many years ago, there was a giant
On a sunny day, the small mouse
Alice was a clever girl who lived
My grandmother once told me
""")
STORY_REQUESTS = lines("""
Could you write me a story about a penguin?
Please tell me a story about a brave girl.
I would like to hear a story about a dog.
Write me a short story about an old lion.
Make up a story about a small dragon.
Tell me a story about a teacher.
Could you tell me a short story?
Please write a story for my child.
Continue the story: Once upon a time there was a small rabbit named Alice.
Please continue the story: One day a young painter named Martin walked to the castle.
Continue the story: A long time ago in a land far, far away, there lived a zebra named Julia.
Go on: It was a sunny day. A kind nurse named Clara sat near the lake.
""")


def repeats(r: Random) -> Iterator[Case]:
    """Short and long phrases, half of the words unseen."""
    for _ in range(200):
        question, answer = repeat(r, True)
        yield exact([user(question)], answer)


def repeats_unseen(r: Random) -> Iterator[Case]:
    """Unseen words only."""
    for _ in range(150):
        text = " ".join(pick(r, HELD_WORDS) for _ in range(r.randint(2, 8)))
        yield exact([user(pick(r, HELD_ASK).replace("{x}", text))], cap(text))


def repeats_natural(r: Random) -> Iterator[Case]:
    """Sentences written by hand."""
    for text in PHRASES:
        for ask in (ASK[0], pick(r, HELD_ASK), pick(r, HELD_ASK)):
            yield exact([user(ask.replace("{x}", text))], cap(text))


def _variants(r: Random, question: str, answer: str) -> Iterator[Case]:
    """As written, carelessly typed, and behind a system prompt."""
    yield exact([user(question)], answer)
    yield exact([user(question.lower().rstrip("?!."))], answer)
    yield exact([{"role": "system", "content": pick(r, SYSTEM)}, user(question)], answer)


def _asked(questions: list[str], answer: str) -> Callable[[Random], Iterator[Case]]:
    def cases(r: Random) -> Iterator[Case]:
        for question in questions:
            yield from _variants(r, question, answer)

    return cases


def installs(r: Random) -> Iterator[Case]:
    """Install a named model, or any."""
    for _ in range(150):
        question, answer = install(r, True)
        yield exact([user(question)], answer)


def sums_unseen(r: Random) -> Iterator[Case]:
    """Number pairs that were never trained on."""
    for _ in range(200):
        question, answer = facts.sums(r, True)
        yield exact([user(question)], answer)


def sums_seen(r: Random) -> Iterator[Case]:
    """Seen number pairs in unseen phrasing."""
    for _ in range(150):
        question, answer = facts.sums(r, True, held_numbers=False)
        yield exact([user(question)], answer)


def capitals(r: Random) -> Iterator[Case]:
    """Every capital, asked in two ways."""
    for country in facts.CAPITALS:
        for _ in range(2):
            question, answer = facts.capital(r, True, country)
            yield exact([user(question)], answer)


def colors(r: Random) -> Iterator[Case]:
    """Every colour, asked in three ways."""
    for thing in facts.COLORS:
        for _ in range(3):
            question, answer = facts.color(r, True, thing)
            yield exact([user(question)], answer)


def edits(r: Random) -> Iterator[Case]:
    """Unseen instructions and sentences."""
    for _ in range(200):
        question, answer = edit(r, True)
        yield exact([user(question)], answer)


def edits_endpoint(r: Random) -> Iterator[Case]:
    """Instruction, blank line, sentence of unseen words: what the edits endpoint sends."""
    for _ in range(150):
        question, answer = edit(r, True)
        short = any(w in question.lower() for w in ("shorten", "shorter"))
        text = re.split(r":\s|\n\n", question, maxsplit=1)[1]
        yield exact([user(("shorten" if short else "rephrase") + "\n\n" + text)], answer)


def unknowns(r: Random) -> Iterator[Case]:
    """Questions it cannot answer, in unseen phrasing."""
    for _ in range(120):
        question, answer = chat.unknown(r, True)
        yield exact([user(question)], answer)


PLAIN = [repeat, edit, facts.sums, facts.capital, facts.color, install]


def second_turns(r: Random) -> Iterator[Case]:
    """The second question of a chat."""
    for _ in range(120):
        (q1, a1), (q2, a2) = pick(r, PLAIN)(r, True), pick(r, PLAIN)(r, True)
        yield exact([user(q1), {"role": "assistant", "content": a1}, user(q2)], a2)


def behind_system(r: Random) -> Iterator[Case]:
    """All skills behind a system prompt."""
    for _ in range(120):
        question, answer = pick(r, PLAIN)(r, True)
        yield exact([{"role": "system", "content": system_prompt(r)}, user(question)], answer)


def behind_long_text(r: Random) -> Iterator[Case]:
    """All skills behind about a thousand tokens of other text."""
    for _ in range(60):
        text = ""
        while len(text) < 2600:
            text += system_prompt(r, long=True) + " "
        question, answer = pick(r, PLAIN)(r, True)
        yield exact(
            [{"role": "system", "content": text[:2600].rsplit(" ", 1)[0]}, user(question)], answer
        )


def _called(asked: tools.Request, arguments: bool) -> Case:
    def check(reply: Reply) -> bool:
        name, args = _call(reply)
        return name == asked.tool.name and (not arguments or args == asked.args)

    want = (asked.tool.name, asked.args)
    return Case([user(asked.question)], check, want, asked.tools)


def one_tool(r: Random) -> Iterator[Case]:
    """The one tool offered, with exact arguments."""
    for _ in range(200):
        yield _called(tools.request(r, True, 1), True)


def which_tool(r: Random) -> Iterator[Case]:
    """The right tool of two or three."""
    for _ in range(200):
        yield _called(tools.request(r, True, pick(r, [2, 3])), False)


def which_tool_exact(r: Random) -> Iterator[Case]:
    """The right tool of two or three, with exact arguments."""
    for _ in range(200):
        yield _called(tools.request(r, True, pick(r, [2, 3])), True)


def tool_answers(r: Random) -> Iterator[Case]:
    """The answer made from a tool's result."""
    for _ in range(200):
        asked = tools.request(r, True)
        returned, answer = tools.result(r, True)
        call = {"name": asked.tool.name, "arguments": json.dumps(asked.args)}
        messages = [
            user(asked.question),
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [{"id": "c1", "type": "function", "function": call}],
            },
            {"role": "tool", "tool_call_id": "c1", "content": returned},
        ]
        yield exact(messages, answer, asked.tools)


def chat_with_tools(r: Random) -> Iterator[Case]:
    """Ordinary chat while tools are on offer."""
    for _ in range(200):
        question, answer = pick(r, [*PLAIN, chat.hello, chat.fine, chat.who])(r, True)
        yield Case([user(question)], no_call, answer, tools.make_tools(r, True, r.randint(1, 3)))


def none_fits(r: Random) -> Iterator[Case]:
    """A request for a tool, but none of those on offer fits."""
    for _ in range(150):
        asked = tools.request(r, True)
        if not asked.question.startswith("Use "):
            yield Case(
                [user(asked.question)], no_call, "no call", tools.without_fit(r, True, asked)
            )


_STORY_WORDS = {
    w.lower()
    for part in [
        stories.OPENINGS,
        stories.ENDINGS,
        stories.FAR,
        stories.HEROES,
        stories.QUALITIES,
        stories.THINGS,
        *stories.SCENES.values(),
        stories.WEATHER,
        stories.MOODS,
        NAMES,
        HELD_NAMES,
        [t for pair in stories.TRADES for t in pair],
        [s for plot in stories.PLOTS for step in plot for s in step],
    ]
    for text in part
    for w in re.findall(r"[A-Za-z']+", re.sub(r"\{\w+\}", " ", text))
} | {"a", "an"}


def fluent(prompt: str, reply: Reply) -> bool:
    """It ended by itself, after 3 to 14 whole sentences, and every word of it is a word."""
    text = content(reply)
    known = _STORY_WORDS | {w.lower() for w in re.findall(r"[A-Za-z']+", prompt)}
    spelled = all(w.lower() in known for w in re.findall(r"[A-Za-z']+", text))
    sentences = len(re.findall(r"[.!?]\"?(?= |$)", text))
    ended = reply.get("finish_reason") == "stop" and text.endswith((".", "!", "?", '"'))
    return ended and spelled and 3 <= sentences <= 14


def raw_stories(r: Random) -> Iterator[Case]:
    """Openings written by hand, continued at temperature 0.7."""
    for prompt in OPENINGS:
        for end in ("", "", "", " ", ","):
            text = prompt.rstrip(",") + end
            yield Case(
                [], lambda reply, p=text: fluent(p, reply), "a story", prompt=text, temperature=0.7
            )


def chat_stories(r: Random) -> Iterator[Case]:
    """Story requests in a chat at temperature 0.7."""
    for request in STORY_REQUESTS:
        for _ in range(8):
            yield Case(
                [user(request)],
                lambda reply, p=request: fluent(p, reply),
                "a story",
                temperature=0.7,
            )


ROWS = [
    Row("Repeat a phrase, half of the words unseen", 95, repeats),
    Row("Repeat a phrase of unseen words", 95, repeats_unseen),
    Row("Repeat a sentence written by hand", 95, repeats_natural),
    Row("Greet", 95, _asked(chat.HELD_HELLO, chat.HELLO_ANSWER)),
    Row('Answer "How are you?"', 95, _asked(chat.HELD_FINE, chat.FINE_ANSWER)),
    Row("Say what it is", 95, _asked(chat.HELD_WHO, chat.WHO_ANSWER)),
    Row("Say what it can do", None, _asked(chat.HELD_CAN, chat.CAN_ANSWER)),
    Row("Explain how to install a model", 95, installs),
    Row("Add and subtract, unseen number pairs", 95, sums_unseen),
    Row("Add and subtract, seen number pairs", 95, sums_seen),
    Row("Capitals", 95, capitals),
    Row("Colours", 95, colors),
    Row("Rephrase or shorten a sentence", 90, edits),
    Row("The same, written as the edits endpoint does", 90, edits_endpoint),
    Row("Admit that it does not know", None, unknowns),
    Row("Second question of a chat", None, second_turns),
    Row("Any of these behind a system prompt", None, behind_system),
    Row("Any of these behind 1000 tokens of other text", None, behind_long_text),
    Row("Call the one tool offered, arguments exact", 90, one_tool),
    Row("Choose the right one of two or three tools", 75, which_tool),
    Row("The same, arguments exact", None, which_tool_exact),
    Row("Answer from a tool's result", 90, tool_answers),
    Row("No tool call in ordinary chat", 98, chat_with_tools),
    Row("No tool call when none of the tools fits", None, none_fits),
    Row("Story from raw text (temperature 0.7, fluent and ended)", None, raw_stories),
    Row("Story in a chat (temperature 0.7, fluent and ended)", None, chat_stories),
]
