"""The files of `deploy/`, and the tools that look at them."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from workbench.wiring.settings import settings_reference

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
PREFIX = "WORKBENCH__"


def tool(name: str) -> str:
    """Find a tool: installed with the project, or, where no registry of Python has it, with the machine.

    On a machine without it the test is skipped; where changes are checked, `.ci/tools` has installed it.
    """
    own = Path(sys.executable).with_name(name)
    found = str(own) if own.exists() else shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def run(*command: object, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run a tool, and keep what it says."""
    return subprocess.run(
        [str(part) for part in command], cwd=folder, capture_output=True, text=True, check=False, timeout=100
    )


def documents(path: Path) -> list[Any]:
    """What a YAML file holds."""
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


def settings_in(path: Path) -> dict[str, str]:
    """The assignments of a file of environment variables."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def unknown_settings(names: Mapping[str, Any]) -> list[str]:
    """Those that look like settings of the service and are none."""
    known = {entry.name for entry in settings_reference()}
    return sorted(name for name in names if name.startswith(PREFIX) and name not in known)


def values_of(tree: Any, name: str) -> Iterator[Any]:
    """Everything that stands under a name, at any depth."""
    if isinstance(tree, Mapping):
        for key, value in tree.items():
            if key == name:
                yield value
            yield from values_of(value, name)
    elif isinstance(tree, list):
        for value in tree:
            yield from values_of(value, name)


def dockerfile(path: Path = ROOT / "Dockerfile") -> list[tuple[str, str]]:
    """The instructions of a Dockerfile, each on one line, without comments."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    whole = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in whole.splitlines() if line.strip()]
