"""Engines are installed by uv into environments of their own, whatever stops it meanwhile."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from contextlib import aclosing
from pathlib import Path

import pytest

from localai.domain.errors import BackendNotInstalled, InstallBusy, InstallFailed
from localai.domain.jobs import Step
from localai.engines.stock import Stock
from tests.live import PATIENCE_S, clean_environment, wait_until
from tests.wheels import WORKER, make_wheel, repack

MURMUR = """
name: murmur
summary: Says everything very quietly.
license: GPL-3.0-or-later
tasks: [generate]
aliases: [whisperer]
requires: {cpu: [murmur-engine]}
imports: [murmur_engine]
"""
CODE = Path(__file__).with_name("murmur.py").read_text()


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything that murmur needs, to be installed without a network."""
    folder = tmp_path_factory.mktemp("wheels")
    for name in WORKER:
        repack(folder, name)
    make_wheel(
        folder, "murmur-engine", {"murmur_engine.py": "def say(text):\n    return text.lower()\n"}
    )
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder in which a user has put a backend."""
    custom = tmp_path / "data" / "backends" / "custom"
    custom.mkdir(parents=True)
    (custom / "murmur.yaml").write_text(MURMUR)
    (custom / "murmur.py").write_text(CODE)
    return tmp_path / "data"


def stock_of(data: Path) -> Stock:
    return Stock(data / "backends", clean_environment(UV_OFFLINE="1"))


async def steps_of(stock: Stock, wheels: Path | None, *, force: bool = False) -> list[Step]:
    plan = stock.plan("murmur", wheels=wheels)
    return [step async for step in stock.install(plan, force=force)]


def test_it_is_installed_once(data: Path, wheels: Path) -> None:
    stock = stock_of(data)
    assert not stock.shelf("murmur").is_installed
    texts = [step.text for step in asyncio.run(steps_of(stock, wheels))]
    assert texts[0] == "making the environment"
    assert texts[-1] == "done"
    installed = stock.environments.find(stock.manifest.find("whisperer"))
    assert installed is not None
    assert installed.receipt.packages["murmur-engine"] == "1.0"
    assert installed.receipt.size_bytes > 0
    able = asyncio.run(stock.check("murmur"))
    assert able is not None
    assert able.packages["murmur-engine"] == "1.0"
    assert able.tasks == ["generate"]
    again = asyncio.run(steps_of(stock, wheels))
    assert [step.text for step in again] == ["installed already"]


def test_an_environment_holds_nothing_of_the_servers(data: Path, wheels: Path) -> None:
    stock = stock_of(data)
    asyncio.run(steps_of(stock, wheels))
    installed = stock.environments.find(stock.manifest.find("murmur"))
    assert installed is not None
    for name, inside in (("murmur_engine", True), ("starlette", False), ("localai", False)):
        result = subprocess.run(
            [installed.python, "-c", f"import {name}"], capture_output=True, check=False, cwd="/"
        )
        assert (result.returncode == 0) is inside, name
    assert not any("starlette" in name for name in installed.receipt.packages)


def test_anew_by_force_leaves_one_environment(data: Path, wheels: Path) -> None:
    stock = stock_of(data)
    asyncio.run(steps_of(stock, wheels))
    first = stock.environments.read("murmur", "cpu")
    asyncio.run(steps_of(stock, wheels, force=True))
    second = stock.environments.read("murmur", "cpu")
    assert first is not None
    assert second is not None
    assert first.folder != second.folder
    assert not first.folder.exists()
    assert stock.shelf("murmur").outdated == ()


def test_what_changed_in_its_description_is_an_upgrade(
    data: Path, wheels: Path, tmp_path: Path
) -> None:
    stock = stock_of(data)
    asyncio.run(steps_of(stock, wheels))
    described = data / "backends" / "custom" / "murmur.yaml"
    described.write_text(MURMUR.replace("murmur-engine]", "murmur-engine==1.0]"))
    assert stock.shelf("murmur").outdated == ("cpu",)
    assert stock.shelf("murmur").is_installed  # the old one serves meanwhile
    asyncio.run(steps_of(stock, wheels))
    assert stock.shelf("murmur").outdated == ()


def test_what_is_not_there_is_told(data: Path, tmp_path: Path) -> None:
    stock = stock_of(data)
    with pytest.raises(InstallFailed) as caught:
        asyncio.run(steps_of(stock, tmp_path / "empty-no"))
    assert "is no folder" in caught.value.message
    (tmp_path / "empty").mkdir()
    with pytest.raises(InstallFailed) as caught:
        asyncio.run(steps_of(stock, tmp_path / "empty"))
    assert "msgspec" in caught.value.message
    command = (
        f"pip download --only-binary :all: -d {tmp_path / 'empty'} 'msgspec>=0.22,<1' murmur-engine"
    )
    assert caught.value.hint.endswith(command)
    assert not stock.shelf("murmur").is_installed


def test_an_engine_that_cannot_be_imported_is_not_installed(
    data: Path, wheels: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    for wheel in wheels.glob("*.whl"):
        (broken / wheel.name).symlink_to(wheel)
    make_wheel(
        broken,
        "murmur-engine",
        {"murmur_engine.py": "raise OSError('libmurmur.so is missing')\n"},
        version="2.0",
    )
    stock = stock_of(data)
    with pytest.raises(InstallFailed, match=r"libmurmur\.so is missing"):
        asyncio.run(steps_of(stock, broken))
    assert not stock.shelf("murmur").is_installed


def test_a_second_installer_is_turned_away(data: Path, wheels: Path) -> None:
    async def test() -> None:
        stock = stock_of(data)
        async with aclosing(stock.install(stock.plan("murmur", wheels=wheels))) as steps:
            await anext(steps)
            with pytest.raises(InstallBusy):
                await steps_of(stock, wheels)
        assert [step.text for step in await steps_of(stock, wheels)][-1] == "done"

    asyncio.run(test())


def test_a_cancelled_install_goes_on_where_it_stopped(data: Path, wheels: Path) -> None:
    async def test() -> None:
        stock = stock_of(data)
        async with aclosing(stock.install(stock.plan("murmur", wheels=wheels))) as steps:
            async for step in steps:
                if step.text == "installing the packages":
                    break
        assert not stock.shelf("murmur").is_installed
        await steps_of(stock, wheels)
        assert stock.shelf("murmur").is_installed

    asyncio.run(test())


def local_ai(data: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "localai", "backends", *arguments, "--data-path", str(data)]


@pytest.mark.parametrize("after", ["making", "installing", "checking"])
def test_a_killed_install_leaves_the_old_state_and_recovers(
    data: Path, wheels: Path, after: str
) -> None:
    command = local_ai(data, "install", "murmur", "--wheels", str(wheels))
    environment = clean_environment(UV_OFFLINE="1")
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.strip().startswith(after):
                process.send_signal(signal.SIGKILL)
                break
        process.wait(PATIENCE_S)
    stock = stock_of(data)
    assert not stock.shelf("murmur").is_installed

    def again() -> bool:
        result = subprocess.run(
            command, capture_output=True, text=True, env=environment, check=False
        )
        assert result.returncode == 0 or "at this moment" in result.stderr, result.stderr
        return result.returncode == 0

    wait_until(again, "the second install")
    assert stock.shelf("murmur").is_installed
    folder = data / "backends" / "murmur" / "cpu"
    assert len([path for path in folder.iterdir() if path.is_dir()]) == 1  # nothing is left over


def test_the_command_line(data: Path, wheels: Path) -> None:
    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            local_ai(data, *arguments),
            capture_output=True,
            text=True,
            env=clean_environment(UV_OFFLINE="1"),
            check=False,
        )

    done = call("install", "murmur", "--wheels", str(wheels))
    assert done.returncode == 0, done.stderr
    assert "GPL-3.0-or-later" in done.stderr
    assert "variant: cpu, because " in done.stderr
    listed = {row["name"]: row for row in json.loads(call("list", "--json").stdout)}
    assert listed["murmur"]["environments"][0]["variant"] == "cpu"
    assert listed["llama-cpp"]["is_bundled"]
    assert "murmur" in call("available").stdout
    assert "whisperer" in call("info", "murmur").stdout
    checked = call("check", "--json")
    assert checked.returncode == 0, checked.stdout
    assert json.loads(checked.stdout)["murmur"]["ok"]
    assert "what this version pins" in call("upgrade").stderr
    described = data / "backends" / "custom" / "murmur.yaml"
    described.write_text(MURMUR.replace("[murmur-engine]", '["murmur-engine>=1"]'))
    assert "(an upgrade is there)" in call("list").stdout
    upgraded = call("upgrade", "--wheels", str(wheels))
    assert upgraded.returncode == 0, upgraded.stderr
    assert "an upgrade" not in call("list").stdout
    assert call("uninstall", "murmur").returncode == 0
    assert not (data / "backends" / "murmur").exists()
    gone = call("uninstall", "murmur")
    assert gone.returncode == 1
    assert "has no environment" in gone.stderr
    unknown = call("install", "murmurr")
    assert unknown.returncode == 1
    assert "Did you mean 'murmur'?" in unknown.stderr
    assert call("check", "murmur").returncode == 1


@pytest.mark.parametrize("text", ["task: x", "summary: s\ntasks: []\ntypes: {transformers: [AutoModel]}"])  # fmt: skip
def test_a_bad_description_is_told(data: Path, text: str) -> None:
    (data / "backends" / "custom" / "broken.yaml").write_text(f"name: broken\n{text}\n")
    stock = stock_of(data)
    with pytest.raises(Exception, match=r"broken\.yaml"):
        stock.shelves()
    assert stock.manifest.find("llama-cpp").name == "llama-cpp"  # what is fine goes on working


def test_nothing_to_remove(data: Path) -> None:
    stock = stock_of(data)
    for name in ("murmur", "llama-cpp"):
        with pytest.raises(BackendNotInstalled):
            asyncio.run(stock.uninstall(name))
