"""Put the skills together: draw one training example, and write it as the chat template would.

An example becomes a list of pieces ``(text, weight)``.  Pieces are encoded one by one; the weight
says how much the loss of their tokens counts.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import text_chat as chat
import text_facts as facts
import text_tools as tools
from text_edit import edit
from text_install import install
from text_repeat import random_copy, repeat
from text_story import chat_story, raw_story
from words import any_name, any_word, lines, pick

Message = dict[str, Any]
Piece = tuple[str, float]

TEMPLATE = Path(__file__).with_name("chat_template.jinja")
END = "<|im_end|>"
OTHER = 0.05  # text that the model reads; a little weight keeps its features useful
ANSWER = 1.0
STORY = 0.5  # stories are full of free choices, which would drown the other skills
CHOICE = 3.0  # the tokens that choose a tool are few and decide everything


@dataclass(frozen=True)
class Stage:
    """How much of the text is drills, up to a share of the training; the rest is all skills."""

    until: float
    copy: float  # random text to copy
    choose: float  # short choices among tools
    sums: float  # sums need more practice than anything else


STAGES = [
    Stage(until=0.10, copy=0.40, choose=0.20, sums=0.00),
    Stage(until=0.65, copy=0.03, choose=0.12, sums=0.14),
    Stage(until=2.00, copy=0.02, choose=0.08, sums=0.06),
]

SKILLS = {
    "repeat": (repeat, 22),
    "hello": (chat.hello, 5),
    "fine": (chat.fine, 3),
    "who": (chat.who, 6),
    "can": (chat.can, 3),
    "manners": (chat.manners, 2),
    "install": (install, 26),
    "edit": (edit, 20),
    "sums": (facts.sums, 75),
    "capital": (facts.capital, 12),
    "color": (facts.color, 9),
    "story": (chat_story, 10),
    "unknown": (chat.unknown, 8),
}
_SKILL_NAMES = list(SKILLS)
_SKILL_WEIGHTS = [weight for _, weight in SKILLS.values()]

# Words that say nothing about which tool is meant; the chat template holds the list.
COMMON_WORDS = TEMPLATE.read_text().split("set common = '")[1].split("'")[0]

SYSTEM = lines("""
You are a helpful assistant.
You are a helpful assistant.
You are a friendly assistant.
You are a helpful, honest assistant.
You are an AI.
You are an expert.
Answer briefly.
Be polite.
Be brief and clear.
Help the user.
You are a small model.
Answer the question of the user.
You answer questions. You do not make things up.
You are a chat bot on a web page.
Always answer in English.
Follow the instructions of the user.
Use a tool when one fits.
You can call tools.
""")


def system_prompt(r: Random, long: bool = False) -> str:
    """A system prompt: usual sentences, or sentences of any words, so that its text is ignored."""
    if long:
        return " ".join(_any_sentence(r) for _ in range(r.randint(8, 40)))
    if r.random() < 0.6:
        return " ".join(pick(r, SYSTEM) for _ in range(pick(r, [1, 1, 2])))
    return " ".join(_any_sentence(r) for _ in range(pick(r, [1, 1, 2, 3])))


def _any_sentence(r: Random) -> str:
    start = pick(
        r,
        [
            "You are",
            "Always",
            "Never",
            "Please",
            "Your name is",
            "The user is",
            "Use",
            "Today is",
            "Do not",
            "Answer in",
            "The",
            "Remember the",
            "If asked, say",
        ],
    )
    text = " ".join(any_word(r, False, 0.4) for _ in range(r.randint(2, 7)))
    return f"{start} {text}."


def user(text: str) -> Message:
    """A user turn."""
    return {"role": "user", "content": text}


def assistant(text: str, weight: float = ANSWER) -> Message:
    """An assistant turn."""
    return {"role": "assistant", "content": text, "weight": weight}


def plain_turn(r: Random) -> list[Message]:
    """One question and its answer, no tools involved."""
    return skill_turn(r, r.choices(_SKILL_NAMES, _SKILL_WEIGHTS)[0])


def skill_turn(r: Random, name: str) -> list[Message]:
    """One question of the named skill, and its answer."""
    question, answer = SKILLS[name][0](r, False)
    turn = assistant(answer, STORY if name == "story" else ANSWER)
    if name == "sums":
        turn["parts"] = _cut(answer, answer.index("=") + 1, ANSWER, CHOICE)
    if name == "story" and " named " in answer:  # the hero has to be the one that was asked for
        turn["parts"] = _cut(answer, answer.index(" named "), ANSWER, STORY)
    return [user(question), turn]


def _cut(text: str, at: int, before: float, behind: float) -> list[Piece]:
    """Two pieces with different weights; a cut in front of a space leaves the tokens as they are."""
    return [(text[:at], before), (text[at:], behind)]


def name_turns(r: Random) -> list[Message]:
    """The user says a name and asks for it later."""
    name = any_name(r, False)
    said = pick(r, ["My name is {}.", "I am {}.", "My name is {}!", "Call me {}."]).format(name)
    asked = pick(r, ["What is my name?", "Do you know my name?", "Who am I?", "What's my name?"])
    between = plain_turn(r) if r.random() < 0.4 else []
    return [
        user(said),
        assistant(f"Nice to meet you, {name}!"),
        *between,
        user(asked),
        assistant(f"Your name is {name}."),
    ]


def call_turns(r: Random, asked: tools.Request) -> list[Message]:
    """A tool call; often with the tool's result and the answer made from it."""
    turns = [user(asked.question), {"role": "assistant", "call": (asked.tool.name, asked.args)}]
    if r.random() < 0.45:
        returned, answer = tools.result(r, False)
        turns += [{"role": "tool", "content": returned}, assistant(answer)]
        if r.random() < 0.15:
            turns += plain_turn(r)
    return turns


def tool_chat(r: Random) -> tuple[list[Message], list[tools.Tool]]:
    """A chat with tools on offer: one fits, none fits, or it is no matter for a tool."""
    before = plain_turn(r) if r.random() < 0.08 else []
    kind = r.random()
    if kind < 0.55:
        asked = tools.request(r, False)
        return before + call_turns(r, asked), asked.tools
    if kind < 0.78:
        asked = tools.request(r, False)
        question = asked.question
        if question.startswith("Use "):
            question = f"Find the {asked.tool.noun}."
        turns = [user(question), assistant(chat.UNKNOWN_ANSWER)]
        return before + turns, tools.without_fit(r, False, asked)
    return before + plain_turn(r), tools.make_tools(r, False, pick(r, [1, 1, 2, 3]))


def drill(r: Random) -> tuple[list[Message], list[tools.Tool]]:
    """The choice among tools in its shortest form."""
    offered, question, tool = tools.choice_drill(r)
    if tool is None:
        return [user(question), assistant(chat.UNKNOWN_ANSWER)], offered
    return [user(question), {"role": "assistant", "call": (tool.name, {})}], offered


def plain_chat(r: Random) -> list[Message]:
    """A chat without tools, of one turn or two."""
    kind = r.random()
    if kind < 0.02:
        return name_turns(r)
    if kind < 0.05:  # a tool-like request, but there are no tools
        question = tools.request(r, False).question
        if not question.startswith("Use "):
            return [user(question), assistant(chat.UNKNOWN_ANSWER)]
    return plain_turn(r) + (plain_turn(r) if r.random() < 0.08 else [])


def raw_text(r: Random) -> list[Piece]:
    """Text outside of any chat: mostly stories, some facts and answers, always with an end."""
    kind = r.random()
    if kind < 0.2:  # somebody sends a question without a chat template
        name = pick(r, ["repeat", "sums", "capital", "color", "hello", "fine", "who", "edit"])
        question, answer = SKILLS[name][0](r, False)
        return [(question, OTHER), ("\n" + answer + END, ANSWER)]
    if kind < 0.88:
        pieces = raw_story(r)
        return [(p, STORY) for p in pieces] + [(END, ANSWER)]
    if kind < 0.94:
        _, answer = pick(r, [facts.capital, facts.color, facts.sums])(r, False)
        return [(answer, STORY), (END, ANSWER)]
    text = " ".join(any_word(r, False, 0.4) for _ in range(r.randint(1, 6)))
    text = text[:1].upper() + text[1:] + pick(r, [".", ".", "!", ","])
    story = raw_story(r)
    return [(text, OTHER), (" " + story[0], STORY), *((p, STORY) for p in story[1:]), (END, ANSWER)]


def example(r: Random, progress: float) -> list[Piece]:
    """Draw one example.  ``progress`` (0 to 1) moves from drills to the mix of all skills."""
    stage = next(s for s in STAGES if progress < s.until)
    kind = r.random()
    if kind < stage.copy:
        question, answer = random_copy(r)
        return render([user(question), assistant(answer)], [])
    system = system_prompt(r) if r.random() < 0.18 else ""
    if kind < stage.copy + stage.choose:
        turns, offered = drill(r)
        return render(turns, offered, system)
    if kind < stage.copy + stage.choose + stage.sums:
        return render(skill_turn(r, "sums"), [], system)
    kind = r.random()
    if kind < 0.08:
        return raw_text(r)
    if kind < 0.48:
        turns, offered = tool_chat(r)
        return render(turns, offered, system)
    return render(plain_chat(r), [], system)


def long_example(r: Random, chars: int) -> list[Piece]:
    """A long conversation, so that positions far from the start are seen in training."""
    asked = tools.request(r, False)
    offered = asked.tools if r.random() < 0.5 else []
    turns: list[Message] = []
    size = 0
    while size < chars:
        if offered and r.random() < 0.3:
            new = call_turns(r, tools.request_for(r, False, offered))
        else:
            new = plain_turn(r)
        turns += new
        size += 30 * len(new) + sum(len(str(m.get("content") or m.get("call"))) for m in new)
    system = system_prompt(r, long=True) if r.random() < 0.5 else ""
    return render(turns, offered, system)


def fitting(offered: list[tools.Tool], question: str) -> set[str]:
    """The tools that share a word with the question, as the chat template finds them.

    The template marks them with a star.  A network of this size does not learn to look through a
    list for the line that a question is about; copying the marked line it learns at once.
    """
    text = re.sub("[.,?!:\"'\n]", " ", question.lower())
    asked = [w for w in text.split(" ") if len(w) > 2 and f" {w} " not in COMMON_WORDS]
    by_name = {t.name for t in offered if any(w in t.name.lower() for w in asked)}
    return by_name or {t.name for t in offered if any(w in t.description.lower() for w in asked)}


def tool_line(tool: tools.Tool, fits: bool) -> str:
    """One tool as the template writes it: ``- name: param, param number. Description``."""
    params = ", ".join(p + (" number" if k == "int" else "") for p, k in tool.params)
    line = ("* " if fits else "- ") + tool.name + (f": {params}" if params else "") + "."
    return line + (f" {tool.description}" if tool.description else "")


def _call_pieces(name: str, args: dict[str, Any]) -> list[Piece]:
    written = json.dumps(args, ensure_ascii=False)
    return [
        ("<tool_call>", CHOICE),
        ('\n{"name":', ANSWER),
        (f' "{name}"', CHOICE),
        (f', "arguments": {written}}}\n</tool_call>', ANSWER),
        (END, ANSWER),
    ]


def render(turns: list[Message], offered: list[tools.Tool], system: str = "") -> list[Piece]:
    """Write a conversation exactly as the chat template does."""
    out: list[Piece] = []
    last = max(i for i, m in enumerate(turns) if m["role"] == "user")
    if system or offered:
        head = [system] if system else []
        if offered:
            marked = fitting(offered, turns[last]["content"])
            head += ["Tools:", *(tool_line(t, t.name in marked) for t in offered)]
        out.append(("<|im_start|>system\n" + "\n".join(head) + END + "\n", OTHER))
    for i, m in enumerate(turns):
        if m["role"] == "tool":
            text = f"<|im_start|>user\n<tool_response>\n{m['content']}\n</tool_response>{END}\n"
            out.append((text, OTHER))
        elif m["role"] == "user":
            out.append((f"<|im_start|>user\n{m['content']}{END}\n", OTHER))
        else:
            out.append(("<|im_start|>assistant\n", OTHER))
            if offered and i < last:  # the stars are set for the last question only
                pieces = _call_pieces(*m["call"]) if "call" in m else [(m["content"] + END, OTHER)]
                out += [(text, OTHER) for text, _ in pieces]
            elif "call" in m:
                out += _call_pieces(*m["call"])
            elif offered and m["content"] == chat.UNKNOWN_ANSWER:  # the choice of no tool
                out += [("I", CHOICE), (m["content"][1:] + END, ANSWER)]
            elif "parts" in m:
                out += [*m["parts"], (END, ANSWER)]
            else:
                out.append((m["content"] + END, m["weight"]))
            out.append(("\n", 0.0))
    return out
