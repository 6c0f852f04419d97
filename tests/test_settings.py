"""Settings: one table, read from flags, the environment and env files, in that order."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

from localai.domain.errors import SettingInvalid
from localai.settings import ServerSettings, is_loopback, is_ours, load, rows
from tests.live import LiveServer, run_cli


def refused(flags: dict[str, Any] | None = None, **environment: str) -> SettingInvalid:
    with pytest.raises(SettingInvalid) as caught:
        load(flags or {}, environment=environment)
    return caught.value


def test_defaults() -> None:
    settings = load({}, environment={})
    assert settings == ServerSettings()
    assert (settings.host, settings.port) == ("127.0.0.1", 8080)
    assert settings.models_path == Path("models")


def test_a_flag_wins_over_the_environment_and_that_over_the_default() -> None:
    environment = {"LOCALAI_THREADS": "3"}
    assert load({"threads": "2"}, environment=environment).threads == 2
    assert load({"threads": None}, environment=environment).threads == 3
    assert load({}, environment={}).threads is None


def test_of_several_variables_the_first_in_the_table_wins() -> None:
    both = {"LOCALAI_PARALLEL": "5", "LLAMACPP_PARALLEL": "6", "PARALLEL": "7"}
    assert load({}, environment=both).parallel == 5
    assert load({}, environment={"LLAMACPP_PARALLEL": "6", "PARALLEL": "7"}).parallel == 6
    assert load({}, environment={"LOCALAI_API_KEY": "a, b,,c"}).api_keys == ("a", "b", "c")
    assert load({}, environment={"API_KEY": "a"}).api_keys == ("a",)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("1.5", 1.5),
        ("90s", 90),
        ("15m", 900),
        ("1h30m", 5400),
        ("500ms", 0.5),
        ("0", 0),
        ("2M", 120),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert load({"watchdog_idle_timeout": text}, environment={}).watchdog_idle_timeout == seconds


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", True),
        ("true", True),
        ("YES", True),
        ("on", True),
        ("0", False),
        ("no", False),
        ("", False),
        ("OFF", False),
    ],
)
def test_booleans_of_the_environment(text: str, value: bool) -> None:  # noqa: FBT001 - a value of the table
    assert load({}, environment={"LOCALAI_DEBUG": text}).debug is value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("threads", "many"), ("threads", "0"), ("threads", "-1"), ("context_size", "-2"), ("parallel", "0"),
        ("upload_limit", "0"), ("max_queued_requests", "0"), ("max_active_backends", "-1"),
        ("watchdog_idle_timeout", "soon"), ("watchdog_idle_timeout", "-5"), ("watchdog_idle_timeout", "5d"),
        ("debug", "perhaps"), ("log_level", "loud"), ("log_format", "xml"), ("address", "8080"), ("address", "a:b"),
        ("address", "127.0.0.1:99999"), ("address", ""), ("shutdown_timeout", "1m30"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named_with_its_source(name: str, text: str) -> None:
    flag = "--" + name.replace("_", "-")
    by_flag = refused({name: text})
    assert flag in by_flag.message
    assert text in by_flag.message
    by_variable = refused(**{f"LOCALAI_{name.upper()}": text})
    assert text in by_variable.message
    assert f"LOCALAI_{name.upper()}" in by_variable.message or flag in by_variable.message


def test_a_near_log_level_is_shown() -> None:
    assert "'debug'" in refused({"log_level": "debgu"}).hint


@pytest.mark.parametrize(
    "address", ["0.0.0.0:80", ":80", "[::]:80", "192.168.1.5:80", "example.org:80"]
)
def test_the_network_wants_a_key_or_a_word(address: str) -> None:
    error = refused({"address": address})
    assert "--api-keys" in error.hint
    assert "127.0.0.1:80" in error.hint
    assert load({"address": address, "api_keys": "k"}, environment={}).address == address
    load({"address": address, "allow_insecure_public_bind": True}, environment={})


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost", "LOCALHOST"])
def test_this_machine_needs_none(host: str) -> None:
    assert is_loopback(host)
    shown = f"[{host}]" if ":" in host else host
    assert load({"address": f"{shown}:80"}, environment={}).host == host


@pytest.mark.parametrize("host", ["", "0.0.0.0", "::", "10.0.0.1", "localhost.example.org"])
def test_what_is_not_this_machine(host: str) -> None:
    assert not is_loopback(host)


def test_the_table_is_whole() -> None:
    table = rows()
    assert [row.name for row in table] == [
        field.name for field in dataclasses.fields(ServerSettings)
    ]
    flags = [row.flag for row in table]
    assert len(set(flags)) == len(flags)
    variables = [variable for row in table for variable in row.variables]
    assert len(set(variables)) == len(variables), "two settings read one variable"
    for row in table:
        assert row.help_text.endswith(".")
        assert row.variables[0] == f"LOCALAI_{row.name.upper()}"
        assert row.kind in {"text", "number", "flag", "duration", "list", "path"}


def test_env_files_are_read_below_the_environment(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "# a comment\nexport LOCALAI_LOG_LEVEL='nothing'\nX\nLOCALAI_THREADS=2\n"
    )
    done = run_cli("run", folder=tmp_path)
    assert done.returncode == 2
    assert "'nothing'" in done.stderr
    done = run_cli("run", folder=tmp_path, environment={"LOCALAI_LOG_LEVEL": "none-such"})
    assert "'none-such'" in done.stderr
    (tmp_path / "localai.env").write_text("LOCALAI_LOG_LEVEL=other\n")  # .env comes first
    assert "'nothing'" in run_cli("run", folder=tmp_path).stderr


def test_durations_that_are_part_of_a_word_are_refused() -> None:
    assert re.search("90s, 15m or 1h30m", refused({"shutdown_timeout": "10 minutes"}).message)


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("THREADS", "many"), ("THREADS", "0"), ("CONTEXT_SIZE", "large"), ("PARALLEL", "-3"), ("F16", "half"),
        ("ADDRESS", "12 Main Street"), ("ADDRESS", "0xb794f5ea0ba39494ce839613fffba742795"), ("DEBUG", "app:*"),
        ("LOG_LEVEL", "WARNING"), ("LOG_FORMAT", "%(message)s"), ("UPLOAD_LIMIT", "10MB"), ("CORS", "*"),
        ("SHUTDOWN_TIMEOUT", "soon"), ("MODELS_PATH", "/no/such/place/anywhere"), ("MODELS_PATH", __file__),
        ("DATA_PATH", __file__), ("CONFIG_FILE", "/no/such/file.yaml"), ("GALLERIES", "prado,louvre"),
        ("GRPC_SERVERS", "orders:50051"), ("PRELOAD_MODELS", "yes"), ("MAX_ACTIVE_BACKENDS", "-1"), ("SINGLE_ACTIVE_BACKEND", "postgres"),
    ],
)  # fmt: skip
def test_a_general_name_that_means_something_else_stops_nothing(variable: str, text: str) -> None:
    """Another program's variable is told and left out; the same value under our own name is wrong."""
    told: list[str] = []
    assert load({}, environment={variable: text}, warn=told.append) == ServerSettings()
    (sentence,) = told
    assert sentence.startswith(f"{variable} is ")
    assert "set LOCALAI_" in sentence


def test_a_general_name_may_be_empty_and_may_be_meant() -> None:
    told: list[str] = []
    empty = dict.fromkeys((row.name.upper() for row in rows()), "")
    assert load({}, environment=empty, warn=told.append) == ServerSettings()
    meant = {"THREADS": "3", "LOG_LEVEL": "Debug", "LOCALAI_CONTEXT_SIZE": "9", "CONTEXT_SIZE": "x"}
    found = load({}, environment=meant, warn=told.append)
    assert (found.threads, found.log_level, found.context_size) == (3, "debug", 9)
    assert told == []


def test_every_general_name_takes_any_text(tmp_path: Path) -> None:
    """Whatever other programs keep in variables of these names, the server starts."""
    (tmp_path / "models").mkdir()
    names = {name for row in rows() for name in row.variables if not is_ours(name)}
    with LiveServer(
        tmp_path / "models",
        environment=dict.fromkeys(names - {"API_KEY", "API_KEYS"}, "something else"),
    ) as server:
        assert server.get("/healthz").status == 200
        assert "MODELS names the model 'something else', which is left out" in server.log
        assert "THREADS is 'something else'; it must be" in server.log
