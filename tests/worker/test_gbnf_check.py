"""A grammar that llama.cpp would refuse is refused with the place of the mistake, and no other is."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localai.domain.errors import InvalidRequest
from localai.domain.generation import Grammar
from localai.engines.manifest import Manifest
from localai.worker.grammars.gbnf_check import GrammarProblem, parse_grammar
from tests.backends.lone import Lone, complete, loaded
from tests.gguf_maker import make_scripted

ENTRY = Manifest().find("llama-cpp")

GOOD = [
    'root ::= "yes" | "no"',
    'root ::= [a-z]+ # a word\n\n# and a comment\nother-1 ::= "x"',
    'root ::= item{2,3} ("," item)*\nitem ::=\n  [^\\n"\\]]? |\n "\\u00e4\\x41\\U0001F600"',
    'root ::= (\n  "a" |\n  "b"\n)\r\nx ::= "y"\r\n',
    'root ::= | "a"',
    'root ::= "a" root | ""',
    "root ::= [^] . [a-]",
    "root ::= <|im_end|> | !<[258]> | <[3]>",
    'root ::= ""',
    'root ::= "a"{0,2000}',
    'root ::= "a"\nroot ::= "b"',
]
BAD = [
    ("", 1, 1, "root"),
    ('start ::= "a"', 1, 1, "'root' is missing"),
    ('root ::= "a', 1, 10, "missing"),
    ("root ::= [a", 1, 10, "missing"),
    ('root ::= ("a"', 1, 10, "missing"),
    ('root ::= "a")', 1, 13, "does not belong"),
    ('root ::= "a"\nroot2 = "b"', 2, 7, "::="),
    ('root ::= item\nitm ::= "a"', 1, 10, "'itm' may be meant"),
    ("root ::= \"a\" |\n  'b'", 2, 3, "does not belong"),
    ('root ::= "\\q"', 1, 11, "no escape"),
    ('root ::= "\\x4"', 1, 11, "no escape"),
    ("root ::= *", 1, 10, "nothing stands before"),
    ('root ::= "a"{2', 1, 15, "missing"),
    ('root ::= "a"{x}', 1, 14, "a number"),
    ('root ::= "a"{3,2}', 1, 13, "less than"),
    ('root ::= "a"{0,5000}', 1, 13, "2000"),
    ('root ::= ("a" "b"){900} x\nx ::= "y"{50}{50}', 2, 14, "of its own"),
    ('root ::= root "a"', 1, 1, "begins with itself"),
    ('root ::= x "a"\nx ::= y?\ny ::= x', 2, 1, "begins with itself"),
    ('root ::= ("a"?)*', 1, 1, "begins with itself"),
    ("root ::= [z-a]", 1, 14, "empty"),
    ("root ::= <a", 1, 10, "token"),
    ('root ::= "a"\n| "b"', 2, 1, "end the line before with |"),
    ("my_rule ::= x", 1, 3, "::="),
]


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_scripted(tmp_path_factory.mktemp("grammars") / "words.gguf", ["yes"])


@contextlib.asynccontextmanager
async def worker(path: Path) -> AsyncIterator[Lone]:
    async with loaded(ENTRY, path, options=("parallel:1",), context_size=512, threads=1) as lone:
        yield lone


def test_the_engine_agrees_about_every_good_one(words: Path) -> None:
    async def check() -> None:
        async with worker(words) as lone:
            for text in GOOD:
                parse_grammar(text)
                await lone.events(complete("a", output=Grammar(gbnf=text, param="g"), max_tokens=1))

    asyncio.run(check())


@pytest.mark.parametrize(("text", "line", "column", "says"), BAD)
def test_a_mistake_is_told_with_its_place(text: str, line: int, column: int, says: str) -> None:
    with pytest.raises(GrammarProblem) as caught:
        parse_grammar(text)
    assert (caught.value.line, caught.value.column) == (line, column)
    assert says in caught.value.message


@given(
    st.text('root::="a|()[]{}*+?-\\\n <>!#1,.', max_size=25).map(lambda tail: f"root ::= {tail}")
)
def test_any_text_is_a_grammar_or_a_problem(text: str) -> None:
    try:
        parse_grammar(text)
    except GrammarProblem as problem:
        assert problem.line >= 1
        assert problem.column >= 1


def test_what_passes_here_passes_the_engine(words: Path) -> None:
    """Random grammars of the forms above: none that is let through is refused by the engine."""
    pieces = st.lists(
        st.sampled_from(['"a"', "[b-d]", "x", "(x |)", '("a" x)', ".", "*", "+", "?", "{2,3}", "|", "#c\n", "\n"]),
        max_size=8,
    )  # fmt: skip

    async def check() -> None:
        async with worker(words) as lone:
            found: list[str] = []

            @given(pieces, pieces)
            def collect(root: list[str], other: list[str]) -> None:
                text = f'root ::= {" ".join(root)}\nx ::= "b" {" ".join(other)}\n'
                with contextlib.suppress(GrammarProblem):
                    parse_grammar(text)
                    found.append(text)

            collect()
            assert len(found) > 10
            for text in dict.fromkeys(found):
                request = complete("a", output=Grammar(gbnf=text, param="g"), max_tokens=1)
                try:
                    await lone.events(request)
                except InvalidRequest as error:  # pragma: no cover - what this test looks for
                    raise AssertionError(text) from error

    asyncio.run(check())
