"""The unit of systemd, as systemd reads it."""

import configparser
from pathlib import Path

import pytest
from tests.support.deploying import DEPLOY, run, settings_in, tool, unknown_settings

from workbench.wiring.settings import Settings

FOLDER = DEPLOY / "systemd"
UNITS = ["workbench", "workbench-upgrade"]
EXPOSURE = 20
"""In tenths: 0 is shut off entirely, 100 not at all. A unit without any of these words has 96."""
SPARE_SECONDS = 10


def unit(folder: Path, name: str = "workbench", *, without: str = "", instead: str = "") -> Path:
    """A unit, started by a program that is there on this machine."""
    text = (FOLDER / f"{name}.service").read_text(encoding="utf-8")
    assert without in text
    text = text.replace(without, instead) if without else text
    path = folder / f"{name}.service"
    path.write_text(text.replace("/opt/workbench/bin/workbench", "/bin/true"), encoding="utf-8")
    return path


def faults(path: Path) -> str:
    finished = run(tool("systemd-analyze"), "verify", "--man=no", path)
    return finished.stdout + finished.stderr


def exposes(path: Path) -> bool:
    command = [tool("systemd-analyze"), "security", "--no-pager", "--offline=true", f"--threshold={EXPOSURE}", path]
    return run(*command).returncode != 0


@pytest.mark.parametrize("name", UNITS)
def test_systemd_understands_the_unit(name: str, tmp_path: Path) -> None:
    assert faults(unit(tmp_path, name)) == ""


def test_a_fault_in_a_unit_is_found(tmp_path: Path) -> None:
    assert "strickt" in faults(unit(tmp_path, without="ProtectSystem=strict", instead="ProtectSystem=strickt"))


@pytest.mark.parametrize("name", UNITS)
def test_the_unit_leaves_little_open(name: str, tmp_path: Path) -> None:
    assert not exposes(unit(tmp_path, name))


def test_a_unit_that_leaves_more_open_is_found(tmp_path: Path) -> None:
    assert exposes(unit(tmp_path, without="CapabilityBoundingSet=\n"))


def words(name: str) -> dict[str, list[str]]:
    """What a unit says, whatever it is about; a word may stand there several times."""
    found: dict[str, list[str]] = {}
    for line in (FOLDER / f"{name}.service").read_text(encoding="utf-8").splitlines():
        word, is_said, value = line.partition("=")
        if is_said and not line.startswith("#"):
            found.setdefault(word, []).append(value)
    return found


def test_the_owner_of_the_database_is_named_to_the_upgrade_alone() -> None:
    service, upgrade = words("workbench"), words("workbench-upgrade")
    assert set(upgrade["EnvironmentFile"]) - set(service["EnvironmentFile"]) == {"/etc/workbench/owner.env"}
    assert set(settings_in(FOLDER / "owner.env")) == {"WORKBENCH__DB__POSTGRESQL_OWNER_URL"}
    commented = (FOLDER / "workbench.env").read_text(encoding="utf-8").replace("# WORKBENCH", "WORKBENCH")
    suggested = dict(line.split("=", 1) for line in commented.splitlines() if line.startswith("WORKBENCH"))
    assert unknown_settings(suggested) == []
    assert suggested["WORKBENCH__DB__MIGRATE_AT_START"] == "false"
    assert "OWNER" not in "".join(suggested)
    # The folder is one user's: the first unit's own name is its user's, the other has to say it.
    assert upgrade["User"] == ["workbench"]
    assert service["StateDirectory"] == upgrade["StateDirectory"] == ["workbench"]


def test_a_service_that_waits_for_its_database_is_never_given_up() -> None:
    said = words("workbench")
    a_try = Settings.of().db.wait_seconds + float(said["RestartSec"][0])
    assert a_try * int(said["StartLimitBurst"][0]) > float(said["StartLimitIntervalSec"][0])


def test_the_unit_has_time_to_drain_and_its_settings_are_known() -> None:
    read = configparser.RawConfigParser(strict=False)
    read.read(FOLDER / "workbench.service")
    settings = settings_in(FOLDER / "workbench.env")
    assert unknown_settings(settings) == []
    drain = float(settings["WORKBENCH__SERVICE__DRAIN_SECONDS"])
    assert float(read["Service"]["TimeoutStopSec"]) >= drain + SPARE_SECONDS
    assert read["Service"]["KillSignal"] == "SIGTERM"
