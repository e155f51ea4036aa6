"""The unit of systemd, as systemd reads it."""

import configparser
from pathlib import Path

from tests.support.deploying import DEPLOY, run, settings_in, tool, unknown_settings

FOLDER = DEPLOY / "systemd"
EXPOSURE = 20
"""In tenths: 0 is shut off entirely, 100 not at all. A unit without any of these words has 96."""
SPARE_SECONDS = 10


def unit(folder: Path, *, without: str = "", instead: str = "") -> Path:
    """The unit, started by a program that is there on this machine."""
    text = (FOLDER / "workbench.service").read_text(encoding="utf-8")
    assert without in text
    text = text.replace(without, instead) if without else text
    path = folder / "workbench.service"
    path.write_text(text.replace("/opt/workbench/bin/workbench", "/bin/true"), encoding="utf-8")
    return path


def faults(path: Path) -> str:
    finished = run(tool("systemd-analyze"), "verify", "--man=no", path)
    return finished.stdout + finished.stderr


def exposes(path: Path) -> bool:
    command = [tool("systemd-analyze"), "security", "--no-pager", "--offline=true", f"--threshold={EXPOSURE}", path]
    return run(*command).returncode != 0


def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    assert faults(unit(tmp_path)) == ""


def test_a_fault_in_a_unit_is_found(tmp_path: Path) -> None:
    assert "strickt" in faults(unit(tmp_path, without="ProtectSystem=strict", instead="ProtectSystem=strickt"))


def test_the_unit_leaves_little_open(tmp_path: Path) -> None:
    assert not exposes(unit(tmp_path))


def test_a_unit_that_leaves_more_open_is_found(tmp_path: Path) -> None:
    assert exposes(unit(tmp_path, without="CapabilityBoundingSet=\n"))


def test_the_unit_has_time_to_drain_and_its_settings_are_known() -> None:
    read = configparser.RawConfigParser(strict=False)
    read.read(FOLDER / "workbench.service")
    settings = settings_in(FOLDER / "workbench.env")
    assert unknown_settings(settings) == []
    drain = float(settings["WORKBENCH__SERVICE__DRAIN_SECONDS"])
    assert float(read["Service"]["TimeoutStopSec"]) >= drain + SPARE_SECONDS
    assert read["Service"]["KillSignal"] == "SIGTERM"
