"""The command line, run as users run it: data to stdout, talk to stderr, and a clear exit code."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from localai.cli.main import _COMMANDS
from localai.settings import rows
from localai.version import __version__
from tests.conftest import StartServer
from tests.gguf_maker import make_scripted
from tests.live import clean_environment, echo_yaml, run_cli, wait_until, write_models

HEAVY = (
    "starlette",
    "uvicorn",
    "aiohttp",
    "rich",
    "xllamacpp",
    "numpy",
    "yaml",
    "msgspec",
    "prometheus_client",
    "asyncio",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    models = write_models(
        tmp_path / "models",
        {
            "echo.yaml": echo_yaml("echo"),
            "alias.yaml": "name: second\nalias: echo\n",
            "off.yaml": "name: off\nbackend: echo\ndisabled: true\n",
        },
    )
    make_scripted(models / "words.gguf", ["a b", "c d"])
    return tmp_path


@pytest.mark.parametrize(
    "arguments", [["--help"], ["-h"], ["--version"], ["version"], ["version", "--json"]]
)
def test_the_quick_commands_import_little(tmp_path: Path, arguments: list[str]) -> None:
    if arguments == ["--version"] and run_cli("--version", folder=tmp_path).returncode == 2:
        pytest.skip("there is no such option")
    program = (
        "import sys\nfrom localai.cli import main\n"
        f"try:\n    main({arguments!r})\nexcept SystemExit as end:\n    assert not end.code\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True,
        cwd=tmp_path, env=clean_environment(),
    )  # fmt: skip
    assert done.stderr.strip() == "[]"
    assert done.stdout


# What a server needs when somebody asks for it: a download, an address in a message, a picture, /docs.
LATE = (
    "aiohttp",
    "huggingface_hub",
    "filelock",
    "tenacity",
    "numpy",
    "rich",
    "xllamacpp",
    "localai.http.openapi",
    "localai.downloads.transfer",
)


def test_a_server_starts_without_what_may_never_be_asked_for(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys\nfrom localai.cli import main\nfrom localai.cli.run import _Talk\n"
        "def ready(self, address, services):\n"
        f"    print([name for name in {LATE!r} if name in sys.modules])\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "_Talk.ready = ready\n"
        "main(['run', '--address', '127.0.0.1:0'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True,
        cwd=tmp_path, env=clean_environment(),
    )  # fmt: skip
    assert done.stdout.strip() == "[]"


def test_help_lists_every_command(tmp_path: Path) -> None:
    done = run_cli("--help", folder=tmp_path)
    assert done.returncode == 0
    for name, (_, text) in _COMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(text[:20])}", done.stdout, re.MULTILINE), name


@pytest.mark.parametrize("name", list(_COMMANDS))
def test_every_command_has_its_first_line_in_the_list(tmp_path: Path, name: str) -> None:
    done = run_cli(name, "--help", folder=tmp_path)
    assert done.returncode == 0
    assert done.stderr == ""
    said = " ".join(done.stdout.split())
    assert _COMMANDS[name][1].rstrip(".").partition(",")[0] in said


def test_help_of_run_lists_every_setting_with_its_variable(tmp_path: Path) -> None:
    text = run_cli("run", "--help", folder=tmp_path).stdout
    for row in rows():
        assert row.flag in text
        assert row.variables[0] in text


def test_an_unknown_command_has_a_near_one(tmp_path: Path) -> None:
    done = run_cli("modles", folder=tmp_path)
    assert done.returncode == 2
    assert "'models'" in done.stderr
    assert done.stdout == ""


def test_an_unknown_option_has_a_near_one(tmp_path: Path) -> None:
    done = run_cli("run", "--adress", "127.0.0.1:0", folder=tmp_path)
    assert done.returncode == 2
    assert "--address" in done.stderr


def test_version(tmp_path: Path) -> None:
    assert run_cli("version", folder=tmp_path).stdout.strip() == __version__
    assert json.loads(run_cli("version", "--json", folder=tmp_path).stdout) == {
        "version": __version__
    }


def test_models_are_listed(folder: Path) -> None:
    done = run_cli("models", "list", folder=folder)
    assert done.returncode == 0, done.stderr
    for name in ("echo", "second", "off", "words"):
        assert name in done.stdout
    assert "alias of echo" in done.stdout
    assert "(disabled)" in done.stdout
    assert "\x1b[" not in done.stdout


def test_models_are_listed_as_json(folder: Path) -> None:
    done = run_cli("models", "list", "--json", folder=folder)
    listed = {row["name"]: row for row in json.loads(done.stdout)["models"]}
    assert set(listed) == {"echo", "second", "off", "words"}
    assert listed["words"]["size_bytes"] == (folder / "models" / "words.gguf").stat().st_size
    assert listed["second"]["alias"] == "echo"
    assert listed["off"]["disabled"] is True


def test_problems_of_model_files_are_told(folder: Path) -> None:
    (folder / "models" / "bad.yaml").write_text("name: bad\nbackend: echo\nthreads: many\n")
    for arguments in (("models", "list"), ("models", "list", "--json")):
        done = run_cli(*arguments, folder=folder)
        assert done.returncode == 1
        assert "bad.yaml:3: threads" in done.stderr
        assert "echo" in done.stdout


def test_an_unknown_model_to_load_has_near_ones(folder: Path) -> None:
    done = run_cli("run", "wrods", "--address", "127.0.0.1:0", folder=folder)
    assert done.returncode == 1
    assert "'wrods'" in done.stderr
    assert "'words'" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_model_that_cannot_be_loaded_ends_the_start(folder: Path) -> None:
    (folder / "models" / "bad.yaml").write_text(echo_yaml("bad", fail_load="out of cheese"))
    done = run_cli("run", "bad", "--address", "127.0.0.1:0", folder=folder)
    assert done.returncode == 1
    assert "out of cheese" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_curl_line_can_be_pasted(folder: Path, start_server: StartServer) -> None:
    server = start_server(folder / "models")
    line = wait_until(
        lambda: re.search(r"(curl http.*?\\\n.*?}')", server.log, re.DOTALL), "the line to paste"
    )[1]
    done = subprocess.run(
        ["bash", "-c", line.replace("curl ", "curl -s -S ", 1)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 127:
        pytest.skip("curl is not installed")
    assert json.loads(done.stdout)["choices"][0]["message"]["content"]


def test_the_starter_answers_where_nothing_is_installed(
    tmp_path: Path, start_server: StartServer
) -> None:
    server = start_server(tmp_path / "models")
    assert '"model": "local-ai-starter"' in server.log
    assert server.say("local-ai-starter", "Hello!", max_tokens=8).status == 200


def test_logs_can_be_json(folder: Path, start_server: StartServer) -> None:
    server = start_server(folder / "models", "echo", "--log-format", "json", "--log-level", "debug")
    wait_until(lambda: '"message"' in server.log, "a line of log")
    parsed = [json.loads(line) for line in server.lines if line.startswith("{")]
    assert {"time", "level", "room", "message"} == set(parsed[0])
    assert any("is ready" in line["message"] for line in parsed)
