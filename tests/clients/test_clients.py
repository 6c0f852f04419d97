"""The clients that people already use are the judges: each runs against a live server."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.clients.programs import HERE, LONGEST_S, NODE, PAGE, Program, examples_by

PROGRAMS = [
    Program("python/anthropic_client.py", "dev"),
    Program("python/ollama_client.py", "dev"),
    Program("python/openai_client.py", "dev"),
    Program("python/openai_client.py", "clients-openai-2"),
    Program("python/instructor_client.py", "clients-openai-2"),
    Program("python/llama_index_client.py", "clients-openai-2"),
    Program("python/cohere_client.py", "clients"),
    Program("python/langchain_clients.py", "clients"),
    Program("python/pydantic_ai_clients.py", "clients"),
    Program("node/ai_sdk.mjs", NODE),
    Program("node/anthropic.mjs", NODE),
    Program("node/ollama.mjs", NODE),
    Program("node/openai.mjs", NODE),
]
AT_ONCE = 2  # they spend most of their time reading their own libraries

Outcomes = Mapping[Program, Future[tuple[int | None, str]]]


@pytest.fixture(scope="session")
def outcomes(
    request: pytest.FixtureRequest,
    told: Mapping[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Outcomes]:
    """All programs that were asked for, run in the order of their tests."""
    items = [
        item for item in request.session.items if "outcomes" in getattr(item, "fixturenames", ())
    ]
    programs = [item.callspec.params["program"] for item in items]  # type: ignore[attr-defined]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {
            program: pool.submit(program.run, tmp_path_factory.mktemp("client"), told)
            for program in programs
            if not program.missing
        }


@pytest.mark.timeout(LONGEST_S + 60.0)
@pytest.mark.parametrize("program", PROGRAMS, ids=str)
def test_a_client_is_content(program: Program, outcomes: Outcomes) -> None:
    if program.missing:
        pytest.skip(program.missing)
    code, printed = outcomes[program].result()
    if code is None:
        pytest.fail(f"It did not end within {LONGEST_S:g} s. It printed:\n{printed}", pytrace=False)
    passed = re.search(
        r"^(\d+ passed in |\d+ passed, \d+ warnings? in |# pass [1-9])", printed, re.MULTILINE
    )
    if code or not passed or re.search(r"^# skipped [1-9]", printed, re.MULTILINE):
        pytest.fail(f"It ended with {code}:\n{printed}", pytrace=False)


def test_every_program_runs() -> None:
    found = [*(HERE / "python").glob("*.py"), *(HERE / "node").glob("*.mjs")]
    paths = {path.relative_to(HERE).as_posix() for path in found if path.stem != "asked"}
    assert paths == {program.path for program in PROGRAMS}


def test_every_example_of_the_page_is_run() -> None:
    assert set(examples_by()) == {program.path for program in PROGRAMS}
    code_blocks = re.findall(r"^```(?:python|js)$", PAGE.read_text(), re.MULTILINE)
    assert len(code_blocks) == len(examples_by())
