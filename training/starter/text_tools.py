"""Tool calls: choose the tool that fits (or none), copy the arguments, read the result."""

from __future__ import annotations

import json
from dataclasses import dataclass
from random import Random

from text_repeat import phrase
from words import (
    CITIES,
    COMMON,
    HELD_CITIES,
    HELD_WORDS,
    any_name,
    any_word,
    cap,
    pick,
    pseudo,
    words,
)

NOUNS = words("""
weather time price stock news flight train hotel room ticket order invoice account balance email
message event meeting task note file photo song movie recipe book word route traffic map score game
player team device light alarm timer temperature humidity rate currency package shipment customer
product menu user job page city country holiday article report lesson address phone address document
""")
HELD_NOUNS = words("""
forecast restaurant appointment reminder playlist contact calendar distance exchange payment
schedule inventory parking printer sensor vehicle horoscope tide battery museum
""")
VERBS = [
    ("get", "Get"),
    ("get", "Get"),
    ("find", "Find"),
    ("show", "Show"),
    ("fetch", "Fetch"),
    ("check", "Check"),
    ("look_up", "Look up"),
    ("search", "Search"),
    ("read", "Read"),
    ("query", "Query"),
    ("create", "Create"),
    ("send", "Send"),
    ("add", "Add"),
    ("start", "Start"),
    ("open", "Open"),
    ("book", "Book"),
    ("set", "Set"),
    ("list", "List"),
]
FIXES = ["current", "", "", "", "latest", "next", "new"]
PARAM_KINDS = [
    ["city"],
    ["city"],
    ["name"],
    ["text"],
    ["int"],
    ["city", "int"],
    ["name", "int"],
    ["text", "int"],
    ["city", "text"],
    ["name", "city"],
    ["city", "name"],
    ["name", "city", "int"],
]
PARAMS = {
    "city": (
        words("city location place town area region"),
        words("address destination where city"),
    ),
    "name": (
        words("name person user customer owner author"),
        words("client employee name who guest"),
    ),
    "int": (
        words("count limit number days hours amount size id level"),
        words("quantity minutes weeks total number"),
    ),
    "text": (words("query text topic title subject keyword"), words("phrase content label query")),
}
PHRASES = {
    "city": ["in {v}", "in {v}", "for {v}", "at {v}"],
    "name": ["for {v}", "of {v}", "by {v}", "for {v}"],
    "int": ["with {p} {v}", "and {p} {v}", "with {p} = {v}", "with a {p} of {v}"],
    "text": ["about {v}", "with {p} {v}", 'for {p} "{v}"', 'about "{v}"', 'with {p} "{v}"'],
}
ASK_START = [
    "What is",
    "What's",
    "Show me",
    "Find",
    "Please get",
    "Can you check",
    "I need",
    "Give me",
    "Tell me",
    "Look up",
    "Please find",
    "Could you get",
    "Please look up",
    "I want to see",
    "Do you know",
    "Check",
    "Search for",
    "Let me know",
    "Could you show me",
    "Help me find",
    "Get",
    "Fetch",
    "I want",
    "How is",
    "Can you tell me",
    "Can you get",
    "Please give me",
    "Create",
    "Please create",
    "Send",
    "Add",
    "Please add",
    "Start",
    "Open",
    "Book",
    "I have to know",
    "Can you find",
    "I must see",
    "Please fetch",
    "I am looking for",
    "Can I have",
    "Search",
]
ASK_LIKE = ["What is", "What's", "How is"]  # "What is the weather like in Oslo?"
ASK_ARTICLE = [" the ", " the ", " the ", " the {f}", " a ", " some ", " ", " my ", " the {f}"]
# Words behind the last value; without them the model takes them for a part of the value.
ASK_END = [
    "",
    "",
    ".",
    "?",
    "?",
    " now.",
    " please.",
    " today?",
    ", thanks.",
    " for me.",
    ", please.",
    " tonight?",
    " tomorrow?",
    " at the moment?",
    " this week?",
    " like?",
    " like today?",
    " right away.",
    " as soon as you can.",
    " again.",
    ", please?",
    " these days?",
    " soon?",
    " on Monday?",
    " if you can.",
    " first.",
    " before dinner.",
    " just now?",
    ", right?",
]
HELD_ASK = [
    "Could you find the {n} {s}?",
    "What is the {n} {s} right now?",
    "Please check the {n} {s}.",
    "Please tell me the {n} {s}.",
    "I would like to know the {n} {s}.",
    "Please show me the {n} {s}.",
]
DRILL_NOUNS = [w for w in COMMON if len(w) > 2]
DRILL_ASK = [
    "{n}",
    "{n}",
    "The {n}.",
    "the {n} please",
    "Show the {n}.",
    "I need the {n}",
    "a {n}?",
    "Get {n}",
    "What is the {n}?",
    "Find my {n}.",
    "Please check the {n}",
]
CONDITIONS = words("sunny cloudy rainy windy open closed ready late full empty free busy warm cold")
RESULT_KEYS = words("""
temperature price status result total value condition count name time state rate title city score
""")


@dataclass(frozen=True)
class Tool:
    """One offered tool; ``noun`` is the word a fitting question contains."""

    name: str
    description: str
    params: tuple[tuple[str, str], ...]
    noun: str
    fix: str = ""

    def as_json(self) -> dict:
        """The tool as it is written in a chat request."""
        kinds = {p: {"type": "integer" if k == "int" else "string"} for p, k in self.params}
        schema = {"type": "object", "properties": kinds, "required": [p for p, _ in self.params]}
        function = {"name": self.name, "description": self.description, "parameters": schema}
        return {"type": "function", "function": function}


@dataclass(frozen=True)
class Request:
    """A question, the tools on offer and the call that answers it."""

    tools: list[Tool]
    tool: Tool
    args: dict[str, str | int]
    question: str


def noun(r: Random, held: bool) -> str:
    """What a tool is about."""
    if held:
        return pick(r, HELD_NOUNS)
    return pick(r, NOUNS) if r.random() < 0.45 else pseudo(r)


def _styled(r: Random, verb: str, fix: str, about: str) -> str:
    """A tool name in one of the usual styles."""
    kind = r.random()
    if kind < 0.6:
        return f"{verb}_{about}"
    if kind < 0.7 and fix:
        return f"{verb}_{fix}_{about}"
    if kind < 0.8:
        return verb.replace("_", "") + cap(about)
    if kind < 0.9:
        return about
    return f"{about}_{verb}"


def make_tool(r: Random, held: bool, about: str) -> Tool:
    """A tool about one noun with one or two parameters."""
    (verb, label), fix = pick(r, VERBS), pick(r, FIXES)
    params: list[tuple[str, str]] = []
    for kind in pick(r, PARAM_KINDS):
        name = pick(r, PARAMS[kind][held])
        if not held and r.random() < 0.3:
            name = pseudo(r, 1) + (pick(r, ["_name", "_id", "_value"]) if r.random() < 0.3 else "")
        if name not in [p for p, _ in params]:
            params.append((name, kind))
    described = f"{fix} {about}".strip()
    description = pick(
        r,
        [
            f"{label} the {described}",
            f"{label} the {about}",
            f"{label} {about} data",
            f"{label} the {described} for a given {params[0][0]}",
            f"Returns the {about}",
            f"{label} {described} by {params[0][0]}",
            f"This tool can {label.lower()} the {about}.",
            f"Use this to {label.lower()} the {about} for the user.",
            "",
        ],
    )
    return Tool(_styled(r, verb, fix, about), description, tuple(params), about, fix)


def make_tools(r: Random, held: bool, count: int) -> list[Tool]:
    """Tools about different nouns."""
    nouns: list[str] = []
    while len(nouns) < count:
        new = noun(r, held)
        if new not in nouns:
            nouns.append(new)
    return [make_tool(r, held, n) for n in nouns]


def _value(r: Random, kind: str, held: bool) -> str | int:
    if kind == "city":
        if held:
            return pick(r, HELD_CITIES)
        if r.random() < 0.4:
            return pick(r, CITIES)
        return " ".join(cap(pseudo(r)) for _ in range(pick(r, [1, 1, 1, 2, 2, 3])))
    if kind == "name":
        last = cap(pick(r, HELD_WORDS) if held else pseudo(r))
        return any_name(r, held) + (f" {last}" if r.random() < 0.3 else "")
    if kind == "int":
        return pick(r, [r.randint(1, 9), r.randint(10, 99), r.randint(1, 30), r.randint(100, 9999)])
    if not held and r.random() < 0.06:
        return f"{r.randint(2000, 2030)}-{r.randint(1, 12):02}-{r.randint(1, 28):02}"
    return " ".join(any_word(r, held) for _ in range(r.randint(1, 3)))


def _ask(r: Random) -> str:
    """A question from parts, never a held-out one."""
    while True:
        if r.random() < 0.08:
            return pick(r, ["{n} {s}", "{n} {s}?", "{n} {s} please"])
        start = pick(r, ASK_START)
        what = "{n} like {s}" if start in ASK_LIKE and r.random() < 0.25 else "{n} {s}"
        ask = start + pick(r, ASK_ARTICLE) + what + pick(r, ASK_END)
        if ask not in HELD_ASK:
            return ask


def request(r: Random, held: bool, count: int = 0) -> Request:
    """A question that exactly one of ``count`` tools fits."""
    return request_for(r, held, make_tools(r, held, count or pick(r, [1, 1, 2, 2, 3])))


def request_for(r: Random, held: bool, tools: list[Tool]) -> Request:
    """A question that one of the given tools fits."""
    tool = pick(r, tools)
    args, parts = {}, []
    for name, kind in tool.params:
        value = _value(r, kind, held)
        args[name] = value
        parts.append(pick(r, PHRASES[kind]).format(v=value, p=name.replace("_", " ")))
    if r.random() < 0.1:
        with_args = " and ".join(f"{p} {v}" for p, v in args.items())
        return Request(tools, tool, args, f"Use {tool.name} with {with_args}.")
    ask = pick(r, HELD_ASK) if held else _ask(r)
    if not held and tool.params[-1][1] == "text" and '"' not in parts[-1]:
        ask = ask[: ask.index("{s}") + 3] + pick(r, ["", ".", "?", ", please."])
    fix = tool.fix + " " if tool.fix else ""
    question = ask.format(n=tool.noun, f=fix, s=" ".join(parts))
    return Request(tools, tool, args, cap(question) if r.random() < 0.9 else question)


def without_fit(r: Random, held: bool, asked: Request) -> list[Tool]:
    """The other tools of a request, at least one: none of them fits."""
    rest = [t for t in asked.tools if t is not asked.tool]
    while not rest:
        rest = [t for t in make_tools(r, held, pick(r, [1, 1, 2])) if t.noun != asked.tool.noun]
    return rest


def _drill_noun(r: Random) -> str:
    """Mostly a real word: it has fewer tokens than an invented one."""
    return pick(r, DRILL_NOUNS) if r.random() < 0.7 else noun(r, False)


def choice_drill(r: Random) -> tuple[list[Tool], str, Tool | None]:
    """Choose the tool that a few words ask for, or none: the choice in its shortest form.

    -> the tools (without parameters), the question, the fitting tool.
    """
    nouns = dict.fromkeys(_drill_noun(r) for _ in range(pick(r, [1, 2, 2, 3, 3])))
    made = [make_tool(r, False, n) for n in nouns]
    offered = [Tool(t.name, t.description, (), t.noun) for t in made]
    tool = pick(r, offered) if r.random() < 0.5 else None
    about = tool.noun if tool else _drill_noun(r)
    if tool is None and about in nouns:
        tool = next(t for t in offered if t.noun == about)
    return offered, pick(r, DRILL_ASK).format(n=about), tool


def result(r: Random, held: bool) -> tuple[str, str]:
    """What a tool returned, and the sentence that reports it."""
    if r.random() < 0.55:
        values: dict[str, str | int] = {}
        for _ in range(pick(r, [1, 1, 2, 2, 3])):
            key = pick(r, RESULT_KEYS) if r.random() < 0.6 else any_word(r, held, 1.0)
            values[key] = pick(
                r,
                [
                    r.randint(0, 99),
                    r.randint(100, 9999),
                    pick(r, CONDITIONS),
                    any_word(r, held),
                    any_word(r, held),
                    any_name(r, held),
                ],
            )
        said = ", ".join(f"{k} {v}" for k, v in values.items())
        dense = (",", ":") if r.random() < 0.15 else (", ", ": ")
        return json.dumps(values, separators=dense), f"The result is: {said}."
    text = pick(
        r,
        [
            any_word(r, held),
            f"{r.randint(-9, 40)} degrees",
            phrase(r, held, 2, 5),
            f"{pick(r, CONDITIONS)}, {r.randint(0, 40)} degrees",
            str(r.randint(0, 9999)),
            cap(phrase(r, held, 2, 6)),
        ],
    )
    return text, f"The result is: {text}."
