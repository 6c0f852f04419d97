"""Edits: rephrase or shorten one simple sentence.

The edits endpoint of the server sends one user message, ``instruction``, a blank line, ``input``;
that form is practised most.
"""

from __future__ import annotations

from random import Random

from words import any_name, article, cap, lines, pick, pseudo, words

ADJECTIVES = words("""
black white red brown old young big small happy sad lazy quick tired angry quiet tall fat friendly
little green strange careful lonely proud silly kind
""")
ANIMALS = words("""
cat dog bird horse fox bear mouse duck goat boy girl man woman farmer teacher baker king queen child
sailor frog lion sheep pig wolf
""")
PLACES = words("""
window house garden river table wall tree door field road forest lake box roof bridge school market
barn fence hill room chair street shop
""")
THINGS = words("book ball cake hat cup lamp coat key letter bag toy flower apple clock map ring")
HELD_ADJECTIVES = words("grey yellow wild gentle hungry nervous polite shiny spotted clumsy")
HELD_ANIMALS = words("rabbit parrot zebra eagle dolphin nurse pilot turtle monkey painter")
HELD_PLACES = words("kitchen tunnel meadow valley ladder castle wagon harbor statue fountain")
HELD_THINGS = words("guitar blanket candle hammer basket pillow")

MOVES = [
    x.split("/")
    for x in lines("""
jumped/leapt
ran/rushed
walked/strolled
climbed/crawled
looked/gazed
slept/rested
sat/rested
fell/tumbled
flew/glided
hid/stayed hidden
swam/paddled
danced/twirled
""")
]
PREPOSITIONS = lines("""
out of
into
over
under
near
behind
through
across
around
next to
in front of
towards
inside
""")
DEEDS = [
    x.split("/")
    for x in lines("""
bought/purchased
found/discovered
got/received
made/created
fixed/repaired
wanted/wished for
took/grabbed
saw/noticed
lost/misplaced
liked/enjoyed
""")
]
FEELINGS = [
    x.split("/")
    for x in words("""
happy/glad sad/unhappy big/large small/little fast/quick nice/pleasant cold/chilly hard/difficult
pretty/beautiful angry/mad smart/clever
""")
]

REPHRASE = lines("""
rephrase: {x}
Rephrase: {x}
rephrase {x}
rephrase\\n{x}
Rephrase this sentence: {x}
Please rephrase: {x}
Say it differently: {x}
Rewrite: {x}
Paraphrase: {x}
Reword: {x}
Rephrase the sentence.\\n{x}
Put this in other words: {x}
rewrite\\n{x}
Can you rephrase this? {x}
Say this in other words: {x}
Instruction: rephrase\\nInput: {x}
""")
HELD_REPHRASE = lines("""
Please rephrase this: {x}
Rephrase the following sentence: {x}
rephrase this: {x}
Rewrite this sentence: {x}
Please rephrase\\n\\n{x}
Rephrase this text\\n\\n{x}
Rewrite the sentence\\n\\n{x}
""")
SHORTEN = lines("""
shorten: {x}
Shorten: {x}
shorten {x}
shorten\\n{x}
Shorten this sentence: {x}
Make it shorter: {x}
Summarize: {x}
Summarize this: {x}
Make this short: {x}
Give me a short version of: {x}
summarize\\n{x}
Instruction: shorten\\nInput: {x}
""")
HELD_SHORTEN = lines("""
Please shorten: {x}
Shorten the following sentence: {x}
Shorten this: {x}
Please shorten\\n\\n{x}
Shorten the text\\n\\n{x}
Make the sentence shorter\\n\\n{x}
""")
# The words of an edits request, sent in front of a blank line or a colon.
_REPHRASE_VERB = ["rephrase", "rephrase", "rephrase", "rewrite", "reword", "paraphrase"]
_SHORTEN_VERB = ["shorten", "shorten", "summarize", "make shorter", "make it shorter", "cut down"]
_OBJECT = ["", "", "", " it", " this", " the input", " the following", " the following text"]
_OBJECT += [" this sentence", " my sentence", " the text below", " what I wrote"]
_EXTRA_REPHRASE = ["say it differently", "use other words", "in other words", "change the words"]
_EXTRA_SHORTEN = ["be brief", "fewer words", "in short", "only the main point", "make this short"]


def _composed(r: Random, short: bool) -> str:
    """An instruction made from parts, joined to its input in one of the usual ways."""
    held = HELD_SHORTEN if short else HELD_REPHRASE
    while True:
        if r.random() < 0.15:
            ask = pick(r, _EXTRA_SHORTEN if short else _EXTRA_REPHRASE)
        else:
            verb = pick(r, _SHORTEN_VERB if short else _REPHRASE_VERB)
            ask = verb + ("" if "make" in verb else pick(r, _OBJECT))
        ask = pick(r, ["", "", "", "please ", "now ", "can you "]) + ask
        ask = cap(ask) if r.random() < 0.5 else ask
        ask += pick(r, ["\n\n", "\n\n", "\n\n", ":\n\n", ".\n\n", ": ", ": ", "\n", ":\n"]) + "{x}"
        if cap(ask) not in held and ask not in held:
            return ask


def _noun(r: Random, held: bool, train: list[str], test: list[str]) -> str:
    if held:
        return pick(r, test)
    return pick(r, train) if r.random() < 0.65 else pseudo(r)


def _adjective(r: Random, held: bool) -> str:
    if held:
        return pick(r, HELD_ADJECTIVES)
    return pick(r, ADJECTIVES) if r.random() < 0.7 else pseudo(r, 1)


def _subject(r: Random, held: bool) -> tuple[str, str, str]:
    """-> the subject as written, with its new article, and without its adjective."""
    adjective, noun = _adjective(r, held), _noun(r, held, ANIMALS, HELD_ANIMALS)
    written = pick(r, ["{a} {n}", "the {a} {n}", "{aa} {n}"])
    text = written.format(a=adjective, n=noun, aa=article(adjective))
    return cap(text), cap(article(adjective)) + " " + noun, "The " + noun


def _movement(r: Random, held: bool) -> tuple[str, str, str]:
    """Black cat jumped out of the window."""
    (written, new, plain), (verb, other) = _subject(r, held), pick(r, MOVES)
    where = f"{pick(r, PREPOSITIONS)} the {_noun(r, held, PLACES, HELD_PLACES)}"
    return f"{written} {verb} {where}", f"{new} {other} {where}.", f"{plain} {verb}."


def _deed(r: Random, held: bool) -> tuple[str, str, str]:
    """Anna bought a red ball at the market."""
    name, (verb, other) = any_name(r, held), pick(r, DEEDS)
    thing, adjective = _noun(r, held, THINGS, HELD_THINGS), _adjective(r, held)
    where = f"{pick(r, ['at', 'in', 'near', 'behind'])} the {_noun(r, held, PLACES, HELD_PLACES)}"
    what = f"{article(adjective)} {thing}"
    return (
        f"{name} {verb} {what} {where}",
        f"{name} {other} {what} {where}.",
        f"{name} {verb} {article(thing)}.",
    )


def _state(r: Random, held: bool) -> tuple[str, str, str]:
    """The soup was very cold this morning."""
    noun, (adjective, other) = _noun(r, held, ANIMALS + THINGS, HELD_THINGS), pick(r, FEELINGS)
    when = pick(r, ["today", "yesterday", "this morning", "last night", "all day long"])
    return (
        f"The {noun} was very {adjective} {when}",
        f"The {noun} was really {other} {when}.",
        f"The {noun} was {adjective}.",
    )


def edit(r: Random, held: bool) -> tuple[str, str]:
    """Rephrase (six times in ten) or shorten one sentence."""
    kind = r.random()
    make = _movement if kind < 0.6 else _deed if kind < 0.85 else _state
    text, other, short_text = make(r, held)
    if not held and r.random() < 0.1:  # written without a capital
        text = text[:1].lower() + text[1:]
    short = r.random() < 0.4
    if held:
        ask = pick(r, HELD_SHORTEN if short else HELD_REPHRASE)
    elif r.random() < 0.6:
        ask = _composed(r, short)
    else:
        ask = pick(r, SHORTEN if short else REPHRASE)
    return ask.replace("{x}", text + pick(r, ["", "."])), short_text if short else other
