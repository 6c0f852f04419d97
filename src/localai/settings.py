"""The server's settings: default < file < environment < flag, all in one table.

The environment is read here and nowhere else. Names are LocalAI's where it has them, so that a
user who moves over keeps flags, variables and env files.
"""

from __future__ import annotations

import difflib
import ipaddress
import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any

from localai.domain.errors import SettingInvalid

_ENV_FILES = (".env", "localai.env", "~/localai.env", "~/.config/localai.env", "/etc/localai.env")
_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off", ""})
_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_OURS = ("LOCALAI_", "LLAMACPP_")
_LOG_LEVELS = ("error", "warn", "info", "debug", "trace")
_LOG_FORMATS = ("default", "text", "json")
_LEAST = {
    "threads": 1, "context_size": -1, "parallel": 1, "upload_limit": 1, "file_limit": 1, "max_queued_requests": 1,
    "max_active_backends": 0, "download_limit": 0, "download_connections": 1, "model_upload_limit": 1,
}  # fmt: skip
_FILES = frozenset({"models_config_file", "preload_models_config"})  # other paths are folders
_JSON_LISTS = frozenset({"galleries", "preload_models"})
_MAX_PORT = 65535


def _nobody(_: str) -> None:
    """Tell nobody."""


def _setting(
    help_text: str, default: Any = MISSING, *, kind: str, group: str, env: str = "", short: str = "",
    factory: Any = MISSING,
) -> Any:  # fmt: skip
    """One row of the table. `env` names variables beside LOCALAI_<NAME> and <NAME>."""
    metadata = {"help": help_text, "kind": kind, "group": group, "env": env, "short": short}
    if factory is not MISSING:
        return field(default_factory=factory, metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """Everything about the server process; a model's own settings are in its file."""

    address: str = _setting(
        "Where to listen, as HOST:PORT. `:PORT` means every network interface.",
        "127.0.0.1:8080", kind="text", group="api")  # fmt: skip
    api_keys: tuple[str, ...] = _setting(
        "Keys that callers must send, separated by commas. None means no key is asked for.",
        (), kind="list", group="api", env="LOCALAI_API_KEY API_KEY")  # fmt: skip
    allow_insecure_public_bind: bool = _setting(
        "Allow an address other than this machine's own without an API key.",
        False, kind="flag", group="api")  # fmt: skip
    upload_limit: int = _setting(
        "Largest request body, in megabytes.", 15, kind="number", group="api")  # fmt: skip
    cors: bool = _setting(
        "Answer pages of other origins, those of --cors-allow-origins.",
        False, kind="flag", group="api")  # fmt: skip
    cors_allow_origins: tuple[str, ...] = _setting(
        "Origins whose pages may call this server, separated by commas.",
        (), kind="list", group="api")  # fmt: skip
    disable_csrf: bool = _setting(
        "Accept requests that a browser sends from other sites without a key.",
        False, kind="flag", group="api")  # fmt: skip
    allow_private_fetch: bool = _setting(
        "Fetch images and other media from addresses inside the own network, too.",
        False, kind="flag", group="api")  # fmt: skip
    disable_metrics_endpoint: bool = _setting(
        "Serve no /metrics.", False, kind="flag", group="api")  # fmt: skip
    opaque_errors: bool = _setting(
        "Answer errors with their status and an empty body.", False, kind="flag", group="api")  # fmt: skip
    machine_tag: str = _setting(
        "Send this text in the header Machine-Tag of every answer.", "", kind="text", group="api")  # fmt: skip

    models_path: Path = _setting(
        "The folder with your models: GGUF files and YAML model files.",
        kind="path", group="models", factory=lambda: Path("models"))  # fmt: skip
    models_config_file: Path | None = _setting(
        "A YAML file with a list of models, beside those in the folder.",
        None, kind="path", group="models", env="LOCALAI_CONFIG_FILE CONFIG_FILE", short="-config-file")  # fmt: skip
    galleries: str = _setting(
        "Where models come from, as a JSON list of {name, url}; the first comes first. Default: our own and LocalAI's.",
        "", kind="text", group="models")  # fmt: skip
    autoload_galleries: bool = _setting(
        "Install a model that a request names and that is not there, from a gallery or where its name says.",
        False, kind="flag", group="models")  # fmt: skip
    preload_models: str = _setting(
        "Models to have installed before the server starts: a JSON list of names, or of what POST /models/apply takes.",
        "", kind="text", group="models", short="-preload")  # fmt: skip
    preload_models_config: Path | None = _setting(
        "The same as a YAML file with such a list.", None, kind="path", group="models")  # fmt: skip
    models: tuple[str, ...] = _setting(
        "Models to have installed and loaded before the first request, separated by commas; the same as naming them.",
        (), kind="list", group="models")  # fmt: skip
    load_to_memory: tuple[str, ...] = _setting(
        "Models to load at the start, separated by commas.",
        (), kind="list", group="models")  # fmt: skip
    data_path: Path = _setting(
        "The folder for what the server remembers: stored responses, uploaded files.",
        kind="path", group="models", factory=lambda: Path("data"))  # fmt: skip
    backends_path: Path | None = _setting(
        "The folder with the environments of engines. Default: `backends` in the data folder.",
        None, kind="path", group="models")  # fmt: skip
    autoload_backends: bool = _setting(
        "Install an engine when a model needs it and it is not there.",
        False, kind="flag", group="models",
        env="LOCALAI_INSTALL_MISSING LOCALAI_AUTOLOAD_BACKEND_GALLERIES AUTOLOAD_BACKEND_GALLERIES")  # fmt: skip
    disable_gallery_endpoint: bool = _setting(
        "Let nobody install or remove anything over HTTP.",
        False, kind="flag", group="api")  # fmt: skip
    download_limit: int = _setting(
        "Megabytes per second that all downloads together may take; 0 means no limit.",
        0, kind="number", group="models")  # fmt: skip
    download_connections: int = _setting(
        "Connections that one large file is downloaded with.",
        4, kind="number", group="models")  # fmt: skip
    open_responses_store_ttl: float = _setting(
        "How long responses are stored, for example 24h; 0 means for ever.",
        0.0, kind="duration", group="models")  # fmt: skip
    file_limit: int = _setting(
        "Largest file that may be uploaded to be kept, in megabytes.",
        512, kind="number", group="models")  # fmt: skip
    model_upload_limit: int = _setting(
        "Largest file that may be uploaded for a model, in megabytes.",
        100_000, kind="number", group="models")  # fmt: skip
    files_ttl: float = _setting(
        "How long uploaded files are kept that do not say it themselves, for example 720h; 0 means until they are deleted.",
        0.0, kind="duration", group="models")  # fmt: skip
    disable_guessing: bool = _setting(
        "Do not derive a model's settings from its GGUF file or name.",
        False, kind="flag", group="models")  # fmt: skip

    threads: int | None = _setting(
        "Threads of each model. Default: the cores this process may use.",
        None, kind="number", group="performance", short="t")  # fmt: skip
    context_size: int | None = _setting(
        "Tokens of context of each model that does not set its own.",
        None, kind="number", group="performance")  # fmt: skip
    f16: bool | None = _setting(
        "Keep the KV cache in 16-bit floats.", None, kind="flag", group="performance")  # fmt: skip
    parallel: int | None = _setting(
        "Requests that one llama.cpp model answers together. Default: up to 4, as memory allows.",
        None, kind="number", group="performance", env="LLAMACPP_PARALLEL")  # fmt: skip
    grpc_servers: str = _setting(
        "llama.cpp RPC workers, HOST:PORT separated by commas. The llama.cpp of this version has none: models are refused.",
        "", kind="text", group="performance", env="LLAMACPP_GRPC_SERVERS")  # fmt: skip
    max_queued_requests: int = _setting(
        "Requests that may wait for one model; more are turned away with status 429.",
        256, kind="number", group="performance")  # fmt: skip

    max_active_backends: int = _setting(
        "Models that stay loaded at most; one more waits until one has answered and left. 0 means no limit.", 0, kind="number", group="workers")  # fmt: skip
    single_active_backend: bool = _setting(
        "Keep one model loaded at most: models take turns.", False, kind="flag", group="workers")  # fmt: skip
    enable_watchdog_idle: bool = _setting(
        "Unload models that nobody uses.", False, kind="flag", group="workers",
        env="LOCALAI_WATCHDOG_IDLE WATCHDOG_IDLE")  # fmt: skip
    watchdog_idle_timeout: float = _setting(
        "How long a model may be unused, for example 15m.", 900.0, kind="duration", group="workers")  # fmt: skip
    watchdog_busy_timeout: float = _setting(
        "How long a running answer may stand still before its worker is restarted; 0 means for ever.",
        300.0, kind="duration", group="workers")  # fmt: skip
    worker_start_timeout: float = _setting(
        "How long loading a model may take.", 900.0, kind="duration", group="workers")  # fmt: skip
    model_load_failure_cooldown: float = _setting(
        "Pause after a model failed to load; doubles up to 5 minutes.", 10.0, kind="duration", group="workers")  # fmt: skip
    shutdown_timeout: float = _setting(
        "How long running answers may go on when the server stops.", 10.0, kind="duration", group="workers")  # fmt: skip

    log_level: str = _setting(
        "error, warn, info, debug or trace.", "info", kind="text", group="logs")  # fmt: skip
    log_format: str = _setting(
        "default, text or json.", "default", kind="text", group="logs")  # fmt: skip
    debug: bool = _setting("The same as --log-level debug.", False, kind="flag", group="logs")  # fmt: skip

    @property
    def host(self) -> str:
        """The host part of the address; empty means every interface."""
        return self.address.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The port of the address."""
        return int(self.address.rpartition(":")[2])


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One setting, for the command line and the documentation."""

    name: str
    flag: str
    kind: str
    group: str
    help_text: str
    short: str
    default: Any
    variables: tuple[str, ...]


def rows() -> tuple[SettingRow, ...]:
    """The table, in order."""
    return tuple(_row(item) for item in fields(ServerSettings))


def _row(item: Any) -> SettingRow:
    name = item.name.upper()
    default = item.default if item.default is not MISSING else item.default_factory()
    variables = dict.fromkeys([f"LOCALAI_{name}", *item.metadata["env"].split(), name])
    return SettingRow(
        name=item.name,
        flag="--" + item.name.replace("_", "-"),
        kind=item.metadata["kind"],
        group=item.metadata["group"],
        help_text=item.metadata["help"],
        short=item.metadata["short"],
        default=default,
        variables=tuple(variables),
    )


def load(
    flags: Mapping[str, Any],
    *,
    environment: Mapping[str, str] | None = None,
    warn: Callable[[str], None] = _nobody,
) -> ServerSettings:
    """The settings of this process: `flags` over the environment over env files over defaults.

    `flags` holds what the command line gave, None where it gave nothing. Raises SettingInvalid
    with the name of the flag or variable, the value and what it should be. Variables with general
    names such as DEBUG may be another program's: one whose value means nothing here is left out,
    and `warn` is told.
    """
    return load_with_sources(flags, environment=environment, warn=warn)[0]


def load_with_sources(
    flags: Mapping[str, Any],
    *,
    environment: Mapping[str, str] | None = None,
    warn: Callable[[str], None] = _nobody,
) -> tuple[ServerSettings, Mapping[str, str]]:
    """The settings as `load` has them, and the flag or variable each was taken from, by its name."""
    surroundings = process_environment() if environment is None else environment
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for row in rows():
        if flags.get(row.name) is not None:
            values[row.name] = _checked(row, flags[row.name], row.flag)
            sources[row.name] = row.flag
            continue
        for variable in row.variables:
            text = surroundings.get(variable)
            if text is None or (not text and not is_ours(variable)):
                continue
            try:
                values[row.name] = _checked(row, text, variable)
            except SettingInvalid as error:
                if is_ours(variable):
                    raise
                warn(
                    f"{error.message} It is left out. "
                    f"If it is meant for this server, set {row.variables[0]} instead."
                )
                continue
            sources[row.name] = variable
            break
    settings = ServerSettings(**values)
    _check_exposure(settings)
    return settings, sources


def is_ours(variable: str) -> bool:
    """Whether only this server reads a variable of that name, or a LocalAI."""
    return variable.startswith(_OURS)


def process_environment() -> dict[str, str]:
    """The environment, with LocalAI's env files below it."""
    merged: dict[str, str] = {}
    for name in reversed(_ENV_FILES):
        path = Path(name).expanduser()
        if path.is_file():
            merged |= _read_env_file(path)
    return merged | dict(os.environ)


def terminal_is_dumb() -> bool:
    """Whether the user asked for output without color (https://no-color.org)."""
    return bool(os.environ.get("NO_COLOR"))


def _read_env_file(path: Path) -> dict[str, str]:
    values: dict[str, str] = {}
    for line in path.read_text(errors="replace").splitlines():
        key, separator, value = line.strip().removeprefix("export ").partition("=")
        if separator and not key.startswith("#"):
            values[key.strip()] = value.strip().strip("'\"")
    return values


def _checked(row: SettingRow, value: Any, source: str) -> Any:
    """The value of a setting. Raises SettingInvalid when it makes no sense, whatever the others are."""
    parsed = _parse(row, value, source)
    least = _LEAST.get(row.name)
    if parsed is None:
        return None
    if least is not None and parsed < least:
        raise SettingInvalid(f"{source} is {parsed}; it must be at least {least}.")
    if row.name == "log_level":
        parsed = parsed.lower()
        _check_word(parsed, value, source, _LOG_LEVELS)
    if row.name == "log_format":
        _check_word(parsed, value, source, _LOG_FORMATS)
    if row.name == "address":
        _check_address(parsed, source)
    if not (source.startswith("-") or is_ours(source)):
        _check_general(row, parsed, source)
    return parsed


def _check_general(row: SettingRow, value: Any, source: str) -> None:
    """Raise SettingInvalid for what only comes to light later, where it would end the start."""
    if row.kind == "path":
        _check_place(row, value, source)
    if row.name in _JSON_LISTS:
        _check_json_list(value, source)
    if row.name == "grpc_servers":
        message = f"{source} is {value!r}; the llama.cpp of this version uses no other machines."
        raise SettingInvalid(message)


def _check_word(word: str, value: str, source: str, words: tuple[str, ...]) -> None:
    if word not in words:
        near = difflib.get_close_matches(word, words, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else ""
        message = f"{source} is {value!r}; it must be one of {', '.join(words)}."
        raise SettingInvalid(message, hint=hint)


def _check_address(address: str, source: str) -> None:
    port = address.rpartition(":")[2]
    if ":" not in address or not port.isdigit() or int(port) > _MAX_PORT:
        message = f"{source} is {address!r}; it must be HOST:PORT, for example 127.0.0.1:8080."
        raise SettingInvalid(message)


def _check_place(row: SettingRow, path: Path, source: str) -> None:
    """Raise SettingInvalid for a place that can neither be used nor made."""
    if row.name in _FILES and not path.is_file():
        raise SettingInvalid(f"{source} is {str(path)!r}, where no file is.")
    is_in_the_way = path.exists() and not path.is_dir()
    if row.name not in _FILES and (is_in_the_way or not path.absolute().parent.is_dir()):
        raise SettingInvalid(f"{source} is {str(path)!r}, where no folder can be.")


def _check_json_list(text: str, source: str) -> None:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, list):
        raise SettingInvalid(f"{source} is {text[:80]!r}; it must be a list in JSON.")


def _parse(row: SettingRow, value: Any, source: str) -> Any:
    if not isinstance(value, str):
        return value
    try:
        match row.kind:
            case "number":
                return int(value)
            case "flag":
                return _boolean(value)
            case "duration":
                return _seconds(value)
            case "list":
                return tuple(item.strip() for item in value.split(",") if item.strip())
            case "path":
                return Path(value).expanduser()
            case _:
                return value
    except ValueError as error:
        message = f"{source} is {value!r}; it must be {error}."
        raise SettingInvalid(message) from None


def _boolean(text: str) -> bool:
    word = text.strip().lower()
    if word not in _TRUE | _FALSE:
        message = "true or false"
        raise ValueError(message)
    return word in _TRUE


def _seconds(text: str) -> float:
    """A Go duration such as `1h30m`, or plain seconds."""
    cleaned = text.strip().lower()
    if re.fullmatch(r"\d+(\.\d+)?", cleaned):
        return float(cleaned)
    parts = _DURATION.findall(cleaned)
    if not parts or "".join(number + unit for number, unit in parts) != cleaned:
        message = "a duration such as 90s, 15m or 1h30m"
        raise ValueError(message)
    return sum(float(number) * _UNITS_S[unit] for number, unit in parts)


def _check_exposure(settings: ServerSettings) -> None:
    if settings.api_keys or settings.allow_insecure_public_bind or is_loopback(settings.host):
        return
    shown = settings.host or "every network interface"
    message = f"Listening on {shown} would let anybody on the network use this server, and no API key is set."
    hint = (
        "Set --api-keys (LOCALAI_API_KEY), or allow it with --allow-insecure-public-bind, "
        f"or listen on 127.0.0.1:{settings.port}."
    )
    raise SettingInvalid(message, hint=hint)


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine only."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
