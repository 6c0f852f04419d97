"""Simple stories: an opening, one of six plots, an ending.

They serve two uses: the raw text completion (no chat template) and story requests in a chat.
Every story keeps to one hero, one friend, one thing and its places, so that a small model can learn
to stay with what was said at the start.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from words import NAMES, article, cap, lines, pick, pseudo, words

HEROES = words("""
fox cat dog bear mouse rabbit bird owl frog horse wolf lion duck goat turtle girl boy farmer baker
sailor king queen princess knight robot dragon wizard giant elf child
""")
QUALITIES = words("""
little small old young brave clever kind shy happy lazy curious friendly quiet lonely cheerful brown
red gray white tiny hungry gentle
""")
THINGS = words("key coin book lamp ball box letter map bell hat stone flower ring drum kite cup")
SCENES = {
    "earth": words("""forest river lake garden village hill road bridge market mill meadow field
        mountain house barn tree school harbor tower castle"""),
    "space": words("planet moon star ship station rocket tower crater"),
}
FAR = lines("""
galaxy
galaxy
kingdom
land
country
world
village
forest
valley
""")
TRADES = [
    x.split("/")
    for x in lines("""
sing/song
dance/dance
paint/picture
bake/cake
swim/river race
fly/long flight
read/book
cook/soup
write/letter
play the drum/tune
build boats/boat
""")
]
WEATHER = words("sunny warm cold rainy quiet windy bright foggy")
MOODS = words("happy surprised curious proud excited glad")

OPENINGS = lines("""
Once upon a time there was {qk} named {n}.
Once upon a time there was {qk} called {n}.
Once upon a time, there was {qk} named {n}.
Once upon a time, {qk} named {n} lived near the {p}.
Once upon a time {qk} lived in a house by the {p}. The name of the {k} was {n}.
Once upon a time in a {far} far away, there lived {qk} named {n}.
A long time ago in a {far} far, far away, there lived {qk} named {n}.
A long time ago in a {far} far, far away, there lived {qk} named {n}.
A long time ago in a {far} far, far away there was {qk} named {n}.
A long time ago in a {far} far away, {qk} named {n} lived near the {p}.
A long time ago, in a {far} far, far away, there was {qk} called {n}.
A long time ago there lived {qk} named {n}.
A long time ago, {qk} named {n} lived by the {p}.
Long ago, there was {qk} named {n}.
Long, long ago, in a {far} far away, there lived {qk} named {n}.
Many years ago {qk} named {n} lived near the {p}.
One day, {qk} named {n} walked to the {p}.
One day {qk} named {n} sat by the {p}.
One morning, {qk} named {n} woke up near the {p}.
One {w} day, {qk} named {n} went to the {p}.
It was a {w} day. {Qk} named {n} sat near the {p}.
It was a {w} morning and {qk} named {n} was looking at the {p}.
It was a dark and stormy night. {Qk} named {n} sat in a house by the {p}.
There once was {qk} named {n}.
There was once {qk} called {n}.
There was {qk} named {n} who lived near the {p}.
Far away, behind the {p}, there lived {qk} named {n}.
In a {far} far away there lived {qk} named {n}.
In a house by the {p} there lived {qk} named {n}.
The {q0} {k} lived near the {p}. Everybody called the {k} {n}.
{n} was {qk} who lived near the {p}.
{n} the {k} lived near the {p}.
{Qk} named {n} lived by the {p}.
Last summer, {qk} named {n} came to the {p}.
Deep in the {p} there lived {qk} named {n}.
Near the old {p} lived {qk} named {n}.
Every morning, {qk} named {n} walked to the {p}.
""")
# One list per plot; every inner list holds the ways to say one step of it.
PLOTS = [
    [
        lines("""{n} loved to walk to the {s}.
                 Every morning {n} walked to the {s}.
                 {n} liked the {s} very much."""),
        lines("""One day {n} found a small {t} near the {s}.
                 There {n} saw a shiny {t} under a stone."""),
        lines(""""Who has lost this {t}?" asked {n}.
                 "Whose {t} is this?" said {n}."""),
        lines("""{n} went from door to door and asked everyone.
                 {n} looked for the owner all day long."""),
        lines("""At last {qf} said, "That is my {t}!"
                 In the evening {qf} came and said, "That is mine!\""""),
        lines("""{n} gave the {t} back, and the {f} was very {m}.
                 The {f} took the {t} and was very {m}."""),
    ],
    [
        lines("""{n} had no friends and was often sad.
                 {n} was all alone and wanted a friend."""),
        lines("""One day {n} met {qf} near the {s}.
                 Then {qf} came along the road to the {s}."""),
        lines(""""Can you help me?" asked the {f}. "I have lost my {t}."
                 The {f} said, "I cannot find my {t}. Please help me.\""""),
        lines("""Together they looked behind the {s} and under every stone.
                 They looked everywhere, even behind the {s}."""),
        lines("""In the end {n} found the {t} in the grass.
                 Suddenly {n} saw the {t} between two flowers."""),
        lines(""""Thank you!" said the {f}. "Now you are my friend."
                 The {f} was very {m} and wanted to stay with {n}."""),
    ],
    [
        lines("""{n} wanted to learn how to {v}.
                 More than anything, {n} wished to {v}."""),
        lines("""But nobody near the {s} could {v}.
                 Everybody at the {s} laughed and said it was too hard."""),
        lines("""One day {qf} heard about it and said, "I can teach you."
                 Then {qf} came and said, "Let us try it together.\""""),
        lines("""Day after day they worked near the {s}.
                 They practiced every morning and every evening."""),
        lines("""At first it was hard, but {n} did not give up.
                 {n} made many mistakes and started again each time."""),
        lines("""After a month {n} could {v} better than anyone else.
                 When spring came, {n} could {v} very well."""),
    ],
    [
        lines("""One evening a big storm came over the {s}.
                 Then the wind grew strong and dark clouds came over the {s}."""),
        lines("""{n} was afraid and looked for a safe place.
                 {n} ran as fast as possible to find a safe place."""),
        lines("""Behind the {s} there was a small house with a light in the window.
                 Then {n} saw a warm light behind the {s}."""),
        lines("""{Qf} opened the door and said, "Come in!"
                 {Qf} lived there and said, "You can stay with me.\""""),
        lines("""They drank hot tea and told each other stories.
                 They sat by the fire and ate warm soup."""),
        lines("""In the morning the sun was shining again.
                 The next day the storm was over and the sky was blue."""),
    ],
    [
        lines("""One day {n} found an old map with a red cross on it.
                 One day {qf} gave {n} an old map."""),
        lines(""""Let us find the treasure!" said {n}.
                 {n} packed some bread and started the journey."""),
        lines("""The way was long, and it led to the {s}.
                 First {n} walked to the {s} and then over a hill."""),
        lines("""Near the {s} {n} began to dig.
                 At the {s} there was a big stone, and {n} pushed it away."""),
        lines("""Under the ground there was a box with a golden {t} in it.
                 There was a small box, and in the box was a {t}."""),
        lines("""{n} took the {t} home and showed it to everyone.
                 {n} was very {m} and carried the {t} home."""),
    ],
    [
        lines("""{n} had a birthday and wanted to have a party.
                 {n} wanted to make a party for all the neighbors."""),
        lines("""{n} baked a big cake and put it next to the window.
                 {n} made a cake with sweet red apples."""),
        lines("""But in the afternoon the cake was gone.
                 Suddenly the cake was not there anymore."""),
        lines("""{n} followed the crumbs to the {s}.
                 There were crumbs on the road, and they led to the {s}."""),
        lines("""There sat {qf} with a full mouth. "I am sorry," said the {f}. "I was so hungry."
                 There {qf} was eating the last piece. "I am sorry," said the {f}."""),
        lines("""Then they baked a new cake together, and it was even better.
                 {n} laughed and said, "Come to my party, and bring a {t}!\""""),
    ],
]
ENDINGS = lines("""
From that day on they were good friends.
From that day on {n} was never sad again.
And they lived happily ever after.
That night {n} slept very well.
In the end everybody was happy.
{n} never forgot that day.
And that is the end of the story.
""")
STORY_ASK = lines("""
Tell me a story.
tell me a story
Tell me a short story.
Write a story.
Write a short story.
Please tell me a story.
Can you tell me a story?
I want to hear a story.
Tell a story.
Tell me a nice story.
Tell me a bedtime story.
""")
ABOUT_ASK = lines("""
Tell me a story about {w}.
Tell me a short story about {w}.
Write a story about {w}.
Write a short story about {w}.
Please tell a story about {w}.
Can you tell me a story about {w}?
I want a story about {w}.
A story about {w}, please.
story about {w}
""")
CONTINUE_ASK = lines("""
Continue the story: {x}
Continue this story: {x}
Continue: {x}
Continue this: {x}
Finish this story: {x}
Finish the story: {x}
Go on: {x}
Please continue: {x}
What happens next? {x}
Continue the story.\\n\\n{x}
Complete this text: {x}
Complete: {x}
{x}
{x}
""")


@dataclass(frozen=True)
class Story:
    """A whole story: the opening tells who it is about, the rest goes on from there."""

    opening: str
    rest: str
    hero: str
    quality: str
    name: str

    @property
    def text(self) -> str:
        """The story in one piece."""
        return f"{self.opening} {self.rest}"


def make_story(r: Random, hero: str = "", quality: str = "", name: str = "") -> Story:
    """Draw who, where and what, then fill one plot with it."""
    hero = hero or (pick(r, HEROES) if r.random() < 0.85 else pseudo(r))
    quality = quality or pick(r, QUALITIES)
    name = name or pick(r, NAMES)
    friend = pick(r, [x for x in HEROES if x != hero])
    far, opening = pick(r, FAR), pick(r, OPENINGS)
    in_space = far == "galaxy" and "{far}" in opening
    scene = SCENES["space" if in_space else "earth"]
    verb, _ = pick(r, TRADES)
    with_hero, with_friend = article(f"{quality} {hero}"), article(f"{pick(r, QUALITIES)} {friend}")
    slots = {
        "k": hero,
        "q0": quality,
        "qk": with_hero,
        "Qk": cap(with_hero),
        "n": name,
        "f": friend,
        "qf": with_friend,
        "Qf": cap(with_friend),
        "far": far,
        "p": pick(r, scene),
        "s": pick(r, scene),
        "t": pick(r, THINGS),
        "v": verb,
        "w": pick(r, WEATHER),
        "m": pick(r, MOODS),
    }
    steps = [pick(r, step) for step in pick(r, PLOTS)] + [pick(r, ENDINGS)]
    rest = " ".join(step.format(**slots) for step in steps)
    return Story(opening.format(**slots), rest, hero, quality, name)


def raw_story(r: Random) -> list[str]:
    """A story as plain text, in pieces that are encoded one by one.

    Now and then the text is cut behind a space, because people write prompts that end in one; the
    next word then has no space of its own, which the model must have seen.
    """
    text = make_story(r).text
    if r.random() < 0.15:
        spaces = [i for i, c in enumerate(text[:120]) if c == " "]
        cut = pick(r, spaces) + 1
        return [text[:cut], text[cut:]]
    return [text]


_ASK_START = ["", "", "Please ", "Can you ", "Could you ", "Would you ", "I want you to ", "Now "]
_ASK_VERB = ["tell", "tell me", "write", "write me", "give me", "make", "invent", "tell us"]
_ASK_KIND = ["a", "a short", "a little", "a nice", "a new", "a simple", "another", "a fairy"]


def _composed_ask(r: Random, about: str) -> str:
    """A story request from parts."""
    ask = f"{pick(r, _ASK_START)}{pick(r, _ASK_VERB)} {pick(r, _ASK_KIND)} story"
    ask += f" {pick(r, ['about', 'about', 'with', 'of'])} {about}" if about else ""
    return cap(ask) + pick(r, ["", ".", ".", "?", " for children."])


def chat_story(r: Random, held: bool) -> tuple[str, str]:
    """A story request in a chat: free, about somebody, or the continuation of an opening."""
    kind = r.random()
    story = make_story(r)
    if kind < 0.25:
        ask = pick(r, STORY_ASK) if r.random() < 0.4 else _composed_ask(r, "")
        return ask, story.text
    if kind < 0.7:
        who = story.hero if r.random() < 0.5 else f"{story.quality} {story.hero}"
        who = f"the {who}" if r.random() < 0.15 else article(who)
        if r.random() < 0.3:
            who += f" {pick(r, ['named', 'called'])} {story.name}"
        if r.random() < 0.6:
            return _composed_ask(r, who), story.text
        return pick(r, ABOUT_ASK).replace("{w}", who), story.text
    ask = pick(r, CONTINUE_ASK)
    if r.random() < 0.3:  # the opening breaks off: go on in the middle of the sentence
        ws = story.opening.split(" ")
        cut = r.randint(min(4, len(ws) - 1), len(ws) - 1)
        given, rest = " ".join(ws[:cut]), " ".join([*ws[cut:], story.rest])
        return ask.replace("{x}", given), rest
    return ask.replace("{x}", story.opening), story.rest
