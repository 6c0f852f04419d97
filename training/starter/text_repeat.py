"""Repeat what one is told: the skill that teaches the model to copy.

Everything else (edits, tool arguments, stories about a given animal) builds on exact copying.
"""

from __future__ import annotations

from random import Random

from words import COMMON, any_name, any_word, cap, lines, pick, pseudo

SENTENCES = lines("""
this is a {n}
this is the {a} {n}
that is my {n}
I like {n} and {m}
the {n} is {a}
my name is {N}
{N} has a {a} {n}
we go to the {n}
the {a} {n} is {b}
do you like my {n}
it is a {a} {n}
there is a {n} in the {m}
this {n} is for {N}
I am {a}
I am {N}
you are {a} and {b}
where is the {n}
what is this {n}
who is {N}
the {n} and the {m}
{a} {n}
{n} {m} {n}
tomorrow is another {n}
please open the {n}
today I saw a {n}
the quick {n} runs over the {m}
how are you, {N}
how are you today
the answer is {k}
I have {k} {n}s
it is {k} degrees
see you at {k}
this {n} has {k} {m}s
hello {N}
hello {n}
good {n} to you
a {n} is a {n}
the {n}, the {m} and the {n}
{n} {n} {m}
very very {a}
good {n}, {N}
this is only a {n}
I want to say: {a} {n}
say {n} to the {m}
{N} and {N}
one {n}, two {m}s
""")
ASK = lines("""
Say {x}
Say {x}
Say: {x}
say {x}
Please say {x}
Can you say {x}
Say the words: {x}
Just say {x}
Now say {x}
I want you to say: {x}
Say "{x}"
Say exactly this: {x}
Repeat after me: {x}
Repeat: {x}
Please repeat: {x}
repeat {x}
Repeat this: {x}
Repeat the following: {x}
Repeat this sentence: {x}
Repeat the text: {x}
Repeat after me. {x}
Repeat "{x}"
Repeat exactly: {x}
Echo: {x}
Echo this: {x}
Write: {x}
Print {x}
Copy this: {x}
Output: {x}
Read aloud: {x}
Please write this: {x}
Answer with: {x}
Reply with: {x}
Reply with exactly: {x}
Respond with: {x}
""")
HELD_ASK = lines("""
Please repeat after me: {x}
Please say this: {x}
Repeat the words: {x}
Could you say {x}
Say this: {x}
Please echo: {x}
Just repeat this: {x}
""")
_ASK_START = ["", "", "", "Please ", "Now ", "Can you ", "Could you please ", "I want you to "]
_ASK_START += ["You should ", "Just ", "Would you ", "Only ", "Simply "]
_ASK_VERB = ["say", "say", "repeat", "echo", "write", "print", "copy", "output", "read", "tell me"]
_ASK_VERB += ["type", "reply with", "answer with"]
_ASK_WHAT = ["", "", " this", " the following", " after me", " this text", " these words"]
_ASK_WHAT += [" the sentence", " the phrase", " it again", " exactly", " back", " this line"]
_ASK_SEP = [": ", ": ", " ", ". ", ":\n", " - ", ", ", ":\n\n", "\n"]


def _composed_ask(r: Random) -> str:
    """Build a request from parts, but never one of the held-out ones."""
    while True:
        ask = pick(r, _ASK_START) + pick(r, _ASK_VERB) + pick(r, _ASK_WHAT) + pick(r, _ASK_SEP)
        ask += '"{x}"' if r.random() < 0.2 else "{x}"
        if r.random() < 0.6:
            ask = cap(ask)
        if cap(ask) not in HELD_ASK:
            return ask


def sentence(r: Random, held: bool) -> str:
    """A sentence of plain English shape."""

    def w() -> str:
        return any_word(r, held, 0.4)

    name, other = any_name(r, held), any_name(r, held)
    text = pick(r, SENTENCES).replace("{N}", other, 1)
    return text.format(n=w(), m=w(), a=w(), b=w(), N=name, k=r.randint(0, 100))


def phrase(r: Random, held: bool, low: int = 2, high: int = 8) -> str:
    """Some words in a row: numbers, capitals, commas and repeated words happen."""
    if high == 8 and r.random() < 0.35:
        return sentence(r, held)
    n = r.randint(low, high)
    ws = [any_word(r, held, 0.45) for _ in range(n)]
    if r.random() < 0.12:
        ws[r.randrange(n)] = str(r.randint(0, 999))
    if n > 1 and r.random() < 0.15:  # repeated words are merged or skipped unless practised
        i = r.randrange(1, n)
        ws[i] = ws[i - 1] if r.random() < 0.5 else ws[r.randrange(i)]
    ws = [cap(w) if r.random() < 0.06 else w for w in ws]
    if n > 3 and r.random() < 0.12:
        ws[r.randrange(1, n - 1)] += ","
    if r.random() < 0.06:
        ws[r.randrange(n)] = pick(r, ["don't", "it's", "I'm", "let's", "we're", "that's", "can't"])
    return " ".join(ws)


def repeat(r: Random, held: bool) -> tuple[str, str]:
    """ "Say X" and its relatives; the answer is X with a capital letter."""
    text, end = phrase(r, held), pick(r, ["", "!", ".", "?", ""])
    if r.random() < 0.3:
        text = cap(text)
    if held:
        return pick(r, HELD_ASK).replace("{x}", text + end), cap(text) + end
    ask = _composed_ask(r) if r.random() < 0.6 else pick(r, ASK)
    return ask.replace("{x}", text + end), cap(text) + end


def random_copy(r: Random) -> tuple[str, str]:
    """Copying of text without sense, for the first steps of training."""
    n, kind = r.randint(2, 9), r.random()
    if kind < 0.35:
        ws = [pseudo(r) for _ in range(n)]
    elif kind < 0.55:
        ws = [
            "".join(pick(r, list("abcdefghijklmnopqrstuvwxyz")) for _ in range(r.randint(1, 6)))
            for _ in range(min(n, 6))
        ]
    elif kind < 0.7:
        ws = [
            cap(pseudo(r)) if r.random() < 0.5 else str(r.randint(0, 99999))
            for _ in range(min(n, 6))
        ]
    else:
        ws = [pick(r, COMMON) for _ in range(n)]
    text = " ".join(ws)
    return pick(r, ASK).replace("{x}", text), cap(text)
