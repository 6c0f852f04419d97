"""Word lists and word makers that every generator module draws from.

Two splits exist everywhere: ``held=False`` (training) and ``held=True`` (evaluation).  The held-out
lists are never used to make training text, so the evaluation sees words the model was not shown.
"""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import TypeVar

T = TypeVar("T")


def pick(r: Random, options: list[T]) -> T:
    """Choose one option; faster than ``Random.choice`` and stable across Python versions."""
    return options[int(r.random() * len(options))]


def words(text: str) -> list[str]:
    """Split a block of words."""
    return text.split()


def lines(text: str) -> list[str]:
    """Split a block of phrases, one a line; ``\\n`` written out stands for a line break."""
    return [x.strip().replace("\\n", "\n") for x in text.splitlines() if x.strip()]


def cap(text: str) -> str:
    """Write the first letter as a capital, and leave the rest as it is."""
    return text[:1].upper() + text[1:]


def article(word: str) -> str:
    """Put "a" or "an" in front of a word."""
    return ("an " if word[0] in "aeiou" else "a ") + word


COMMON = words("""
the a an my your his her our this that these some every no any old new big small red blue green
black white happy sad quick slow warm cold bright dark quiet loud soft hard sweet sour clean dirty
open closed full empty early late good bad nice fine great cat dog bird horse fish cow sheep mouse
lion bear wolf fox duck goose frog bee ant tree flower grass leaf river lake sea ocean hill mountain
road street house home room door window wall roof floor table chair bed lamp book page paper pen
letter word story song music picture game ball toy box bag cup plate bowl spoon knife bread milk
water tea coffee juice apple pear plum lemon orange cake soup rice egg meat cheese butter salt sugar
sun moon star sky cloud rain snow wind storm fire ice day night morning evening week month year
summer winter spring autumn time hour minute man woman boy girl child friend teacher doctor farmer
baker king queen sister brother mother father uncle aunt baby people family school town city village
country world train bus car bike boat ship plane ticket market shop money coin price work job plan
idea question answer problem reason test example number name color shape line circle square point
top side front back left right north south east west is are was were be been am has have had do does
did can could will would should may might must go goes went come came run ran run walk walked sit
sat stand stood see saw look looked hear heard say said tell told ask asked give gave take took make
made get got find found keep kept put let eat ate drink drank sleep slept read write wrote sing sang
play played learn learned know knew think thought like liked love loved want wanted need needed help
helped call called wait waited turn turned move moved stop stopped start started opened close bring
brought buy bought sell sold build built break broke fall fell fly flew swim swam jump jumped climb
climbed in on at by with from to of for under over near behind between into out up down about after
before during without and or but so because if when while then there here now today tomorrow
yesterday always never often sometimes soon again very too much many more most less few all both
each not it he she we they you i me him us them who what where why how which one two three four five
six seven eight nine ten please thank hello goodbye yes maybe computer phone program machine model
server network message picture holiday birthday weather dinner breakfast language science history
nothing something everything anything important different beautiful wonderful interesting together
""")
HELD_WORDS = words("""
garden kettle purple thunder pencil violin rabbit candle engine pocket silver marble harbor puzzle
blanket cherry dolphin forest hammer island jacket kitchen ladder mirror napkin orchard parrot
quiver ribbon saddle teapot umbrella valley wagon yellow zebra anchor basket camera desert eagle
feather guitar helmet insect jungle ketchup lantern meadow needle olive pillow rocket shadow tunnel
velvet whistle brave clever gentle hungry jolly lucky nervous polite rapid shiny tiny wild carry
chase dance follow gather invite laugh measure notice paint repair shout travel visit whisper above
across along among around below beyond inside outside toward slowly nearly
""")
NAMES = words("""
Anna Ben Carla David Emma Frank Grace Henry Iris Jack Karen Leo Mia Noah Olga Paul Rosa Sam Tina
Victor Wendy Yusuf Zoe Lucy Tom Max Nina Oscar Amir Bella Chen Diego Eva Farah Hugo Ines Jonas Kofi
Lena Marta Nils Omar Priya Ravi Sara Tariq Uma Vera Will Yara
""")
HELD_NAMES = words("""
Alice Bruno Clara Dmitri Elena Felix Gustav Helena Ivan Julia Kevin Laura Martin Nadia Oliver Petra
Quentin Robert Sofia Ulrich
""")
CITIES = [
    x.replace("_", " ")
    for x in words("""
Paris Berlin Rome Madrid Lisbon London Dublin Oslo Stockholm Helsinki Copenhagen Warsaw Vienna Bern
Brussels Athens Ankara Moscow Kyiv Budapest Sofia Zagreb Riga Tokyo Hanoi Jakarta Ottawa Lima Cairo
Nairobi Milan Turin Lyon Hamburg Munich Seville Porto Naples Geneva Zurich Boston Chicago Denver
Seattle Toronto Osaka Mumbai Lagos Sydney Leeds Austin Miami New_York San_Francisco Los_Angeles
Buenos_Aires New_Delhi Mexico_City Las_Vegas Santa_Cruz Kuala_Lumpur Rio_de_Janeiro
""")
]
HELD_CITIES = [
    x.replace("_", " ")
    for x in words("""
Krakow Valencia Bordeaux Dresden Glasgow Marseille Antwerp Rotterdam Dallas Phoenix Montreal Kyoto
Perth Durban Lahore Manila San_Diego Cape_Town Salt_Lake_City
""")
]

_ONSETS = [
    *words(
        "b c d f g h j k l m n p r s t v w z br bl ch cl cr dr fl fr gl gr ph pl pr qu sc sh sk sl sm"
        " sn sp st str sw th tr tw wh"
    ),
    "",
    "",
]
_VOWELS = words("a e i o u a e i o u ai ea ee oa oo ou ie y au ei")
_CODAS = (
    words("n r s t l m d k p x b g ck ll nd nt ng st rt mp ss sh th rn rd ct ft lt nk") + [""] * 10
)
_SUFFIXES = (
    words(
        "ing ed er ly ness tion ment able ful est ous ish al ic ive ity ism ist ure age ance ent ary ory"
    )
    + [""] * 22
)

_pool: list[str] = []


def use_pool(path: Path) -> None:
    """Load the words that cover every sub-word token (made by ``tokenizer.py``).

    Without them, tokens that are rare in copied text are never learnt as copy targets: the model
    then misspells exactly the words that contain them.
    """
    _pool[:] = json.loads(path.read_text())


def pseudo(r: Random, syllables: int = 0) -> str:
    """Invent a word, so that copying cannot be learnt as a list of known words."""
    if _pool and r.random() < 0.6:
        return pick(r, _pool)
    n = syllables or pick(r, [1, 1, 2, 2, 2, 3])
    parts = [pick(r, _ONSETS) + pick(r, _VOWELS) + pick(r, _CODAS) for _ in range(n)]
    word = "".join(parts) + pick(r, _SUFFIXES)
    return word if len(word) > 1 else word + pick(r, _VOWELS)


def any_word(r: Random, held: bool, invented: float = 0.5) -> str:
    """A real or an invented word; held-out words only in the held-out split."""
    if held:
        return pick(r, HELD_WORDS) if r.random() < 0.5 else pick(r, COMMON)
    return pseudo(r) if r.random() < invented else pick(r, COMMON)


def any_name(r: Random, held: bool) -> str:
    """A first name."""
    if held:
        return pick(r, HELD_NAMES)
    return pick(r, NAMES) if r.random() < 0.6 else cap(pseudo(r))
