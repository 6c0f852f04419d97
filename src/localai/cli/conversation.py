"""A conversation in the terminal: what was said, and the commands that begin with a slash."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path

from localai.domain.generation import Chat, GenerationRequest, Sampling
from localai.domain.parts import Message, Role, Text

HELP = """\
/help               this list
/clear              forget the conversation; the system prompt stays
/system [TEXT]      set the system prompt, or show it
/set NAME VALUE     temperature, top_k, top_p, min_p, seed or max_tokens
/retry              answer the last question once more
/save FILE          write the conversation to a file, as OpenAI's messages
/load FILE          go on with a saved conversation
/exit               leave; so do /bye and Ctrl-D
\"\"\"                 begins and ends a text of several lines
Ctrl-C              stops the answer that is being written"""
LEAVING = frozenset({"/exit", "/bye", "/quit"})

_NUMBERS = {"temperature": float, "top_k": int, "top_p": float, "min_p": float, "seed": int}


@dataclass(slots=True)
class Conversation:
    """What was said so far. Commands change it and give what to show."""

    model: str
    system: str = ""
    messages: list[Message] = field(default_factory=list)
    sampling: Sampling = field(default_factory=Sampling)
    max_tokens: int | None = None

    def ask(self, text: str) -> None:
        """Add a question."""
        self.messages.append(_message(Role.USER, text))

    def answered(self, text: str) -> None:
        """Add the answer, also one that was stopped; a question without any answer is forgotten."""
        if text:
            self.messages.append(_message(Role.ASSISTANT, text))
        elif self.messages:
            self.messages.pop()

    @property
    def request(self) -> GenerationRequest:
        """The request for the next answer."""
        first = [_message(Role.SYSTEM, self.system)] if self.system else []
        return GenerationRequest(
            model=self.model,
            prompt=Chat(messages=(*first, *self.messages)),
            sampling=self.sampling,
            max_tokens=self.max_tokens,
        )

    def command(self, line: str) -> str:
        """Do what a line that begins with a slash asks for; gives what to show."""
        word, _, rest = line.strip().partition(" ")
        rest = rest.strip()
        match word:
            case "/help" | "/?":
                return HELP
            case "/clear":
                self.messages.clear()
                return "The conversation is forgotten."
            case "/system":
                if rest:
                    self.system = rest
                return f"System prompt: {self.system or 'none'}"
            case "/set":
                return self._set(rest)
            case "/save":
                return self._save(rest)
            case "/load":
                return self._load(rest)
            case _:
                return f"There is no command {word}. /help lists them."

    def take_back(self) -> bool:
        """Forget the last answer, so that its question stands last; False when there is none."""
        while self.messages and self.messages[-1].role is not Role.USER:
            self.messages.pop()
        return bool(self.messages)

    def _set(self, text: str) -> str:
        name, _, value = text.partition(" ")
        if name != "max_tokens" and name not in _NUMBERS:
            return f"/set knows {', '.join((*_NUMBERS, 'max_tokens'))}."
        try:
            number = _NUMBERS.get(name, int)(value)
        except ValueError:
            return f"{value!r} is no value for {name}."
        if name == "max_tokens":
            self.max_tokens = int(number)
        else:
            self.sampling = replace(self.sampling, **{name: number})
        return f"{name} is {number}."

    def _save(self, name: str) -> str:
        if not name:
            return "Name the file: /save FILE"
        first = [_message(Role.SYSTEM, self.system)] if self.system else []
        said = [{"role": one.role.value, "content": one.text} for one in (*first, *self.messages)]
        try:
            path = Path(name).expanduser()
            path.write_text(json.dumps(said, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        except OSError as error:
            return f"{name} cannot be written: {error.strerror or error}."
        return f"Saved {len(said)} messages to {path}."

    def _load(self, name: str) -> str:
        if not name:
            return "Name the file: /load FILE"
        try:
            said = json.loads(Path(name).expanduser().read_text(encoding="utf-8"))
            read = [(Role(one["role"]), str(one["content"])) for one in said]
        except (OSError, ValueError, KeyError, TypeError) as error:
            return f"{name} holds no conversation: {error}"
        self.system = " ".join(text for role, text in read if role is Role.SYSTEM)
        self.messages = [_message(role, text) for role, text in read if role is not Role.SYSTEM]
        return f"Loaded {len(read)} messages."


def _message(role: Role, text: str) -> Message:
    return Message(role=role, parts=(Text(text=text),))
