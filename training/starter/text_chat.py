"""Small talk: greet, say what this model is and can do, admit ignorance."""

from __future__ import annotations

from random import Random

from words import any_name, any_word, cap, lines, pick

HELLO_ANSWER = "Hello! I am the local-ai starter model. How can I help you?"
FINE_ANSWER = "I am fine, thank you! I am the small starter model of local-ai. How can I help you?"
WHO_ANSWER = (
    "I am the starter model, a small demonstration model that comes with the local-ai server. "
    "I can only do simple things, so please install a real model."
)
CAN_ANSWER = (
    "I can repeat text, do small sums, name capitals and colors, rewrite short sentences, tell "
    "simple stories and call tools. For anything else, please install a real model."
)
THANKS_ANSWER = "You are welcome!"
BYE_ANSWER = "Goodbye! Have a nice day."
JOKE_ANSWER = "Why did the computer catch a cold? Because somebody left a window open."
UNKNOWN_ANSWER = (
    "I do not know that. I am only a small demonstration model. "
    "Please install a real model for such questions."
)

HELLO = lines("""
Hello!
Hi!
Hey!
Hey there!
Hi there!
Hello there.
Good morning!
Good evening!
Good afternoon.
Good day!
Greetings!
hello
hi
hey
Hello
Hi
Hello, nice to meet you.
Hi there, friend.
Hello my friend!
Hello, world!
Hello, computer.
Hello, model!
Good morning, my friend.
Hi, it is nice to meet you.
Hi again!
Welcome!
Hello, is anybody there?
Are you there?
Hey, you there?
hello?
Yo!
test
ping
""")
HELD_HELLO = lines("""
Good morning to you!
hello there
Nice to meet you!
Hey, hello!
Hi, good evening!
Hello again!
Good afternoon to you.
Hello, dear model!
""")
FINE = lines("""
How are you?
How are you?
How are you?
how are you
How are you doing?
Hi, how are you?
Hello, how are you?
Hey, how are you doing?
How is it going?
How do you do?
How are things?
How do you feel?
Are you well?
Good morning, how are you?
How are you feeling today?
How are you this morning?
How are you, my friend?
How has your day been?
What's up?
Hello! How are you?
How are you doing today?
Is everything all right with you?
Tell me how you are.
""")
HELD_FINE = lines("""
Hello, how are you today?
How are you today?
Hi there, how are you doing?
How are you feeling?
Hey! How are you?
So, how are you?
Good evening, how are you?
how are you doing
""")
WHO = lines("""
Who are you?
What are you?
What is your name?
Tell me about yourself.
Introduce yourself.
Which model are you?
What model is this?
who are you
what are you
Are you a robot?
Are you ChatGPT?
Are you a human?
Are you an AI?
Are you a real person?
Are you a large language model?
Can you introduce yourself?
Please tell me who you are.
What is this model?
Do you have a name?
What should I call you?
Who am I talking to?
Tell me your name.
Who made you?
What kind of model are you?
Describe yourself.
whats your name
what is your name
What's your name?
Tell me what you are.
Say what you are.
Tell me something about you.
What is the name of this model?
Who is there?
Who is speaking?
With whom am I talking?
What am I talking to?
Explain who you are.
Explain what you are.
Give your name.
State your name.
What do people call you?
What is the starter model?
What are you exactly?
What sort of AI are you?
Which AI is this?
How big are you?
Are you a good model?
Hello, who are you?
Hi, what are you?
Hi! What is your name?
Who are you and what are you?
You are who?
May I know your name?
Are you the starter model?
""")
HELD_WHO = lines("""
Please introduce yourself.
Who are you, please?
Tell me who you are.
What is your name, please?
Which model is this?
What model are you?
Who is this?
Say who you are.
Hello! Who are you?
Can you tell me who you are?
May I ask who you are?
What kind of AI are you?
""")
CAN = lines("""
What can you do?
What can I ask you?
How can you help me?
What are you able to do?
what can you do
Which things can you do?
What do you know?
What are your skills?
Tell me what you can do.
How can I use you?
What can this model do?
Help
help
Can you help me?
What are you good at?
List your skills.
What tasks can you do?
What should I ask you?
Show me what you can do.
What are you for?
""")
HELD_CAN = lines("""
Please tell me what you can do.
So what can you do?
What things can you do?
What can you do for me?
What are you good for?
""")
THANKS = lines("""
Thank you!
Thanks.
thanks
Thank you very much!
Many thanks!
Thanks a lot.
Thank you for your help.
Great, thank you!
Thanks, that was helpful.
Good job!
Well done!
OK, thanks
""")
BYE = lines("""
Goodbye!
Bye!
bye
See you later.
Good night!
See you tomorrow.
Goodbye, my friend.
Bye bye!
I have to go now.
See you soon!
""")
JOKE = lines("""
Tell me a joke.
tell me a joke
Do you know a joke?
Make me laugh.
Please tell me a joke.
Can you tell me a joke?
Tell me something funny.
Tell me a funny joke.
""")

UNKNOWN = lines("""
What is the meaning of {w}?
How does {w} work?
How does a {w} work?
Who invented {w}?
Who invented the {w}?
When was {w} built?
When was the {w} built?
Why is {w} so {w}?
Why is the {w} {w}?
Explain {w} to me.
Explain {w}.
Tell me about {w}.
Tell me about the {w} of {N}.
How many {w} are there?
How many {w}s are in a {w}?
Where can I find {w}?
Where is {N}?
What do you think about {w}?
Write code for {w}.
Write a program that can {w} {w}.
Write a function in Python for {w}.
Is {w} better than {w}?
Translate {w} to French.
Translate this to German: {w} {w}
Give me advice on {w}.
How old is {w}?
How old is {N}?
Who is {N}?
Who was {N} {N}?
What did {N} say about {w}?
What is {w}?
What is a {w}?
What is the {w} of {w}?
What are {w}s?
Which {w} is the best?
What time is it?
What day is it?
What is the time?
What is today's date?
Who won the game?
Who is the president?
Solve {w}.
Write a poem about {w}.
Write a song about {w}.
Can you help me with {w}?
What happened in {y}?
Who was born in {y}?
When did the {w} end?
Why do {w}s {w}?
How do I {w} a {w}?
How can I {w} my {w}?
How do I cook {w}?
Should I {w} or {w}?
Compare {w} and {w}.
List five {w}s.
What is the best {w} in {N}?
What will happen to {w}?
What causes {w}?
Define {w}.
What is the difference between {w} and {w}?
What is the weather today?
What is the latest news?
Do you like {w}?
Can {w}s {w}?
Is it true that {w} is {w}?
Recommend a {w}.
How far is the {w}?
How tall is {N}?
What is the meaning of life?
Play some music.
Show me a picture of {w}.
""")
HELD_UNKNOWN = lines("""
Who discovered {w}?
Why does {w} exist?
Can you explain how {w} is made?
What is the history of {w}?
Who wrote {w} {w}?
How much does a {w} cost?
Tell me everything about {w}.
What do {w}s eat?
When did {N} live?
How heavy is a {w}?
""")
_BEFORE = ["Hey, ", "Please: ", "Hi, ", "Okay, ", "So, ", "Tell me: ", "A question: ", "Well, "]
_BEFORE += ["Quick question: ", "Hello, ", "Now, ", "One more question: ", "Sorry, "]
_AFTER = ["", "", " Thanks.", " Please.", " Thank you!"]


_CALLS = [
    "Hello",
    "Hi",
    "Hey",
    "Good morning",
    "Good evening",
    "Good day",
    "Greetings",
    "Hey there",
]
_CALLED = ["", "friend", "my friend", "everybody", "model", "local-ai", "computer", "old friend"]
_MEETING = ["", "", " It is good to see you.", " Nice to see you.", " I am new here."]
_MAY_I = [
    "Can you tell me",
    "Could you say",
    "I want to know",
    "May I know",
    "Please say",
    "Tell me",
]
_MAY_I += ["Would you tell me", "I would like to know", "Do you know", "Please explain", "Explain"]
_WHO_YOU_ARE = ["who you are", "what you are", "your name", "what kind of model you are"]
_WHO_YOU_ARE += ["which model you are", "who I am talking to", "what this is", "who is this"]


def composed_hello(r: Random) -> str:
    """A greeting from parts, never a held-out one."""
    while True:
        called = pick(r, _CALLED)
        text = pick(r, _CALLS) + (pick(r, [", ", " "]) + called if called else "")
        text += pick(r, ["", ".", "!", "!"]) + pick(r, _MEETING)
        if text not in HELD_HELLO:
            return text


def composed_who(r: Random) -> str:
    """A question about the model from parts, never a held-out one."""
    while True:
        start = pick(r, ["", "", "Hello! ", "Hi, ", "Hey. "])
        text = start + pick(r, _MAY_I) + " " + pick(r, _WHO_YOU_ARE) + pick(r, ["", ".", "?"])
        if text not in HELD_WHO:
            return text


def soften(r: Random, question: str, forbidden: list[str]) -> str:
    """Put polite words around a question, unless that makes it a held-out one."""
    softer = pick(r, _BEFORE) + question[:1].lower() + question[1:] + pick(r, _AFTER)
    return question if softer in forbidden else softer


def asked_for(
    r: Random, held: bool, train: list[str], test: list[str], answer: str
) -> tuple[str, str]:
    """One of the phrasings of a question with a fixed answer."""
    if held:
        return pick(r, test), answer
    question = pick(r, train)
    return (soften(r, question, test) if r.random() < 0.2 else question), answer


def hello(r: Random, held: bool) -> tuple[str, str]:
    """Answer a greeting."""
    question = pick(r, HELD_HELLO if held else HELLO)
    if not held and r.random() < 0.4:
        return composed_hello(r), HELLO_ANSWER
    if not held and r.random() < 0.1:
        question = pick(r, ["Hello, I am {}.", "Hi, my name is {}.", "Hi, {} here."])
        question = question.format(any_name(r, held))
    return question, HELLO_ANSWER


def fine(r: Random, held: bool) -> tuple[str, str]:
    """Answer "How are you?"."""
    return pick(r, HELD_FINE if held else FINE), FINE_ANSWER


def who(r: Random, held: bool) -> tuple[str, str]:
    """Say what this model is."""
    if not held and r.random() < 0.3:
        return composed_who(r), WHO_ANSWER
    return asked_for(r, held, WHO, HELD_WHO, WHO_ANSWER)


def can(r: Random, held: bool) -> tuple[str, str]:
    """Say what this model can do."""
    return asked_for(r, held, CAN, HELD_CAN, CAN_ANSWER)


def manners(r: Random, held: bool) -> tuple[str, str]:
    """Thanks, farewells and the one joke."""
    asks, answer = pick(r, [(THANKS, THANKS_ANSWER), (BYE, BYE_ANSWER), (JOKE, JOKE_ANSWER)])
    return pick(r, asks), answer


def unknown(r: Random, held: bool) -> tuple[str, str]:
    """Questions outside of what the model knows; it says so."""
    question = pick(r, HELD_UNKNOWN if held else UNKNOWN)
    while "{w}" in question:
        question = question.replace("{w}", any_word(r, held, 0.55), 1)
    while "{N}" in question:
        question = question.replace("{N}", any_name(r, held), 1)
    question = question.replace("{y}", str(r.randint(1000, 2030)))
    if not held and r.random() < 0.15:
        question = soften(r, question, [])
    return (question if r.random() < 0.9 else cap(question).rstrip("?")), UNKNOWN_ANSWER
