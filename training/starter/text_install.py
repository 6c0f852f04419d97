"""Explain how to install a real model."""

from __future__ import annotations

from random import Random

from text_chat import asked_for, soften
from words import lines, pick, pseudo, words

INSTALL_NAMED = lines("""
How do I install {m}?
How can I run {m}?
I want to use {m}.
Please help me install {m}.
How do I download {m}?
What do I need to do to run {m}?
install {m}
Install {m}
Install {m}, please.
Explain how to install {m}.
Which command installs {m}?
How do I set up {m}?
Show me how to install {m} with local-ai.
How to run {m}?
How to install {m}
I would like to try {m}.
How do I start {m}?
How do I get {m}?
Where do I get {m}?
Can I run {m} here?
Is {m} available?
How do I add {m}?
Give me the command to install {m}.
I want to chat with {m}. How?
Can you install {m}?
Does local-ai support {m}?
Explain how to run {m}.
Tell me how to download {m}.
Tell me the way to get {m}.
Please install {m}.
I need {m}.
Where can I download {m}?
How can I get {m}?
""")
HELD_INSTALL_NAMED = lines("""
Can you tell me how to install {m}?
How would I install {m}?
How do I run {m}?
Tell me how to install {m}.
How can I download {m}?
Please explain how to install {m}.
""")
INSTALL_ANY = lines("""
How can I install a model?
How do I install a real model?
How do I get a better model?
Where do I put a GGUF file?
Where do I put a .gguf file?
How to install a model?
How do I add a new model?
Can I use a larger model?
Tell me how to add a model.
How does one install models in local-ai?
How do I load my own model?
I need a bigger model.
I want a better model.
How do I install a real one?
How do I install another model?
How do I download a model?
Where is the models folder?
How do I use my own GGUF file?
Which command installs a model?
How can I install a bigger model?
install a model
how do I install a model
How do I change the model?
How can I get a smarter model?
Explain how to install a model.
What do I have to do to install a model?
How do I use a different model?
You are too small. How do I get a real model?
How do I replace you?
Help me install a model.
How do I set up a real model?
Show me how to install models.
""")
HELD_INSTALL_ANY = lines("""
Please explain how to install a model.
How can I get a larger model?
How can I add a model to local-ai?
What is the way to install a new model?
How can I install a real model?
How do I install a larger model?
Please tell me how to install a model.
""")
INSTALL_ANY_ANSWER = (
    "Copy a .gguf file into the models folder, or run `local-ai models install NAME` to download "
    "a model by its name. Then `local-ai run NAME` starts it."
)


def model_name(r: Random, held: bool) -> str:
    """A model name of the usual look: family, version, flavour."""
    if held:
        family = pick(r, words("llama mistral qwen gemma phi falcon granite hermes bonsai command"))
    else:
        family = pseudo(r, 1 if r.random() < 0.5 else 2)
    name = family
    if r.random() < 0.75:
        versions = [
            str(r.randint(1, 9)),
            f"{r.randint(1, 9)}.{r.randint(0, 9)}",
            f"{r.randint(1, 70)}b",
            "instruct" if held else pseudo(r, 1),
        ]
        name += "-" + pick(r, versions)
    if r.random() < 0.4:
        name += "-" + pick(
            r, ["instruct", "chat", "mini", "small", f"{r.randint(1, 70)}b", "q4", "it"]
        )
    return name


def install(r: Random, held: bool) -> tuple[str, str]:
    """Explain how a real model gets installed; a model's name is copied when one is given."""
    if r.random() < 0.35:
        return asked_for(r, held, INSTALL_ANY, HELD_INSTALL_ANY, INSTALL_ANY_ANSWER)
    name = model_name(r, held)
    ask = pick(r, HELD_INSTALL_NAMED if held else INSTALL_NAMED)
    if not held and r.random() < 0.15:
        ask = soften(r, ask, HELD_INSTALL_NAMED)
    answer = (
        f"Run `local-ai models install {name}` to download it and `local-ai run {name}` to start "
        "it. You can also copy its .gguf file into the models folder."
    )
    return ask.replace("{m}", name), answer
