"""Small sums, capitals and colours: the facts the model knows by heart."""

from __future__ import annotations

from random import Random

from text_chat import soften
from words import cap, lines, pick

CAPITALS = dict(
    x.split(":")
    for x in """France:Paris|Germany:Berlin|Italy:Rome|Spain:Madrid|Portugal:Lisbon|England:London|
Ireland:Dublin|Norway:Oslo|Sweden:Stockholm|Finland:Helsinki|Denmark:Copenhagen|Iceland:Reykjavik|
Poland:Warsaw|Austria:Vienna|Switzerland:Bern|Belgium:Brussels|Greece:Athens|Turkey:Ankara|
Russia:Moscow|Ukraine:Kyiv|Hungary:Budapest|Romania:Bucharest|Bulgaria:Sofia|Serbia:Belgrade|
Croatia:Zagreb|Slovenia:Ljubljana|Slovakia:Bratislava|Estonia:Tallinn|Latvia:Riga|
Lithuania:Vilnius|Japan:Tokyo|China:Beijing|India:New Delhi|Thailand:Bangkok|Vietnam:Hanoi|
Indonesia:Jakarta|Malaysia:Kuala Lumpur|Australia:Canberra|New Zealand:Wellington|Canada:Ottawa|
Mexico:Mexico City|Brazil:Brasilia|Argentina:Buenos Aires|Chile:Santiago|Peru:Lima|
Colombia:Bogota|Venezuela:Caracas|Cuba:Havana|Egypt:Cairo|Morocco:Rabat|Kenya:Nairobi|
Ethiopia:Addis Ababa|Ghana:Accra|Nigeria:Abuja|Senegal:Dakar|Iran:Tehran|Iraq:Baghdad|
Israel:Jerusalem|Nepal:Kathmandu|Mongolia:Ulaanbaatar""".replace("\n", "").split("|")
)
CAPITAL_ASK = lines("""
What is the capital of {x}?
What is the capital of {x}?
what is the capital of {x}
Name the capital of {x}.
Which city is the capital of {x}?
Tell me the capital of {x}.
The capital of {x} is?
capital of {x}
{x}: what is its capital?
Do you know the capital of {x}?
What's the capital city of {x}?
What's the capital of {x}?
I forgot the capital of {x}.
Give me the capital of {x}, please.
Which city is {x}'s capital?
Can you name the capital of {x}?
Q: capital of {x}?
Please, what is the capital of {x}?
{x} has which capital?
Capital of {x}?
What city is the capital of {x}?
Which is the capital of {x}?
Can you tell me what the capital of {x} is?
""")
HELD_CAPITAL_ASK = lines("""
Please name the capital city of {x}.
Could you tell me the capital of {x}?
What is {x}'s capital?
Hey, what is the capital of {x}?
I need the capital of {x}.
Do you remember the capital of {x}?
""")
COLORS = dict(
    x.split(":")
    for x in """the sky:blue|grass:green|snow:white|coal:black|blood:red|a lemon:yellow|
a banana:yellow|a tomato:red|a carrot:orange|the sea:blue|milk:white|chocolate:brown|a frog:green|
a polar bear:white|a raven:black|gold:yellow|a leaf:green|a strawberry:red|a cucumber:green|
a pumpkin:orange|the sun:yellow|soil:brown|coffee:brown|paper:white|salt:white|sugar:white|
a fire truck:red|a flamingo:pink|a pig:pink|an eggplant:purple|lavender:purple|an elephant:gray|
a mouse:gray|ash:gray|rice:white|corn:yellow|a cherry:red|spinach:green|tar:black|
an orange:orange|wood:brown|a swan:white|the ocean:blue|a rose:red|an apple:red""".replace(
        "\n", ""
    ).split("|")
)
COLOR_ASK = lines("""
What color is {x}?
What color is {x}?
What colour is {x}?
Which color does {x} have?
Tell me the color of {x}.
what color is {x}
Name the color of {x}.
What is the color of {x}?
The color of {x} is?
Do you know what color {x} is?
Which colour is {x}?
color of {x}
Please tell me what colour {x} has.
{x}, what color is it?
If you look at {x}, what color do you see?
What is the usual color of {x}?
Give me the colour of {x}.
Which color is {x}?
What's the color of {x}?
Tell me which color {x} has.
What color does {x} have?
""")
HELD_COLOR_ASK = lines("""
Please name the colour of {x}.
Can you tell me the color of {x}?
Hey, what color is {x}?
What is the colour of {x}?
I want to know the color of {x}.
Which colour does {x} have?
""")
ADD_ASK = lines("""
What is {a} plus {b}?
What is {a} + {b}?
What is {a} + {b}?
{a} + {b}
{a}+{b}
{a} + {b} =
{a}+{b}=
Add {a} and {b}.
what is {a}+{b}
What is {a}+{b}?
what's {a} plus {b}?
{a} + {b}?
What's {a} + {b}?
Calculate {a} + {b}.
Calculate {a} + {b}
How much is {a} plus {b}?
{a} plus {b}
What is the sum of {a} and {b}?
Compute {a} plus {b}.
I have {a} apples and get {b} more. How many apples do I have?
If I add {b} to {a}, what do I get?
{a} plus {b} is?
What do you get when you add {a} and {b}?
Sum: {a} and {b}
Add {b} to {a}.
""")
HELD_ADD_ASK = lines("""
Please add {a} and {b}.
How much is {a} + {b}?
What does {a} plus {b} make?
Please compute {a} + {b}.
Tell me {a} plus {b}.
""")
SUB_ASK = lines("""
What is {a} minus {b}?
What is {a} - {b}?
What is {a} - {b}?
{a} - {b}
{a}-{b}
{a} - {b} =
{a}-{b}=
Subtract {b} from {a}.
what is {a}-{b}
What is {a}-{b}?
what's {a} minus {b}?
{a} - {b}?
What's {a} - {b}?
Calculate {a} - {b}.
Calculate {a} - {b}
How much is {a} minus {b}?
{a} minus {b}
Compute {a} minus {b}.
I have {a} apples and give away {b}. How many apples do I have?
{a} minus {b} is?
Take {b} away from {a}.
What is left if I take {b} from {a}?
What is the difference of {a} and {b}?
""")
HELD_SUB_ASK = lines("""
Please subtract {b} from {a}.
How much is {a} - {b}?
What does {a} minus {b} make?
Please compute {a} - {b}.
Tell me {a} minus {b}.
""")


def is_held_pair(a: int, b: int) -> bool:
    """One number pair in twenty is never trained on."""
    return (a * 53 + b * 31) % 20 == 7


def number_pair(r: Random, held: bool, add: bool) -> tuple[int, int]:
    """Two numbers of the wanted split, the larger one first for a difference."""
    while True:
        a, b = r.randint(0, 50), r.randint(0, 50)
        if not held and r.random() < 0.25:  # the carry is learnt on small numbers first
            a, b = r.randint(0, 20), r.randint(0, 20)
        elif r.random() < 0.25:
            b = r.randint(0, 9)
        if not add and b > a:
            a, b = b, a
        if is_held_pair(a, b) == held:
            return a, b


def sums(r: Random, held: bool, held_numbers: bool | None = None) -> tuple[str, str]:
    """Add or subtract two numbers between 0 and 50; the answer repeats the sum."""
    add = r.random() < 0.5
    a, b = number_pair(r, held if held_numbers is None else held_numbers, add)
    train, test = (ADD_ASK, HELD_ADD_ASK) if add else (SUB_ASK, HELD_SUB_ASK)
    question = pick(r, test if held else train).format(a=a, b=b)
    return question, f"{a} + {b} = {a + b}" if add else f"{a} - {b} = {a - b}"


def capital(r: Random, held: bool, country: str = "") -> tuple[str, str]:
    """Name a capital."""
    country = country or pick(r, list(CAPITALS))
    ask = pick(r, HELD_CAPITAL_ASK if held else CAPITAL_ASK)
    if not held and r.random() < 0.3 and not ask.startswith("{x}"):
        ask = soften(r, ask, HELD_CAPITAL_ASK)
    return ask.format(x=country), f"The capital of {country} is {CAPITALS[country]}."


def color(r: Random, held: bool, thing: str = "") -> tuple[str, str]:
    """Name the colour of a thing."""
    thing = thing or pick(r, list(COLORS))
    ask = pick(r, HELD_COLOR_ASK if held else COLOR_ASK)
    if not held and r.random() < 0.3:
        ask = soften(r, ask, HELD_COLOR_ASK)
    return cap(ask.format(x=thing)), f"{cap(thing)} is {COLORS[thing]}."
