"""The image, as far as it can be made without an engine: its instructions, its locks, and its steps in a folder."""

import asyncio
import fnmatch
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.support.deploying import DEPLOY, ROOT, dockerfile, run, tool, unknown_settings
from tests.support.servers import ReservedPort, eventually

DEV_ONLY = {"pytest", "ruff", "basedpyright", "moto", "mkdocs-material"}
SECONDS = 60


def lint(path: Path) -> tuple[int, str]:
    finished = run(tool("hadolint"), "--no-color", "--failure-threshold", "info", path)
    return finished.returncode, finished.stdout


def test_the_dockerfile_is_written_as_it_should_be() -> None:
    assert lint(ROOT / "Dockerfile") == (0, "")


def test_a_fault_in_a_dockerfile_is_found(tmp_path: Path) -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    (tmp_path / "Dockerfile").write_text(text.replace("USER 10001:10001", "USER root"), encoding="utf-8")
    code, said = lint(tmp_path / "Dockerfile")
    assert code == 1
    assert "DL3002" in said


def test_the_image_runs_as_somebody_without_rights_and_knows_its_settings() -> None:
    last = dockerfile()
    last = last[max(at for at, (word, _) in enumerate(last) if word == "FROM") :]
    assert ("USER", "10001:10001") in last
    variables = dict(part.split("=", 1) for word, rest in last if word == "ENV" for part in shlex.split(rest))
    assert unknown_settings(variables) == []
    assert unknown_settings({"WORKBENCH__SERVICE__PROT": "1"}) == ["WORKBENCH__SERVICE__PROT"]
    assert variables["WORKBENCH__SERVICE__ASSISTANT_KEYS"] == "secured"


def locked(path: Path) -> dict[str, list[str]]:
    """What a lock names, each with its version and hashes."""
    entries = re.split(r"\n(?=\S)", path.read_text(encoding="utf-8").strip())
    return {entry.split("==")[0]: re.findall(r"==\S+|sha256:\w+", entry) for entry in entries}


def test_the_image_holds_what_the_tests_ran_with_and_nothing_that_only_they_need() -> None:
    everything, service = locked(ROOT / "requirements.lock"), locked(DEPLOY / "docker" / "service.lock")
    build = locked(DEPLOY / "docker" / "build.lock")
    assert {name: everything.get(name) for name in service} == service
    assert {name: everything.get(name) for name in build} == build
    assert {"litestar", "opentelemetry-sdk", "azure-identity"} <= service.keys()
    assert everything.keys() >= DEV_ONLY
    assert not DEV_ONLY & service.keys()
    assert all(len(entry) > 1 for entry in (service | build).values())


def admitted(name: str) -> bool:
    """Whether .dockerignore lets a file into the build; the last pattern that fits decides."""
    decision = True
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        pattern = line.removeprefix("!")
        fits = any(fnmatch.fnmatch(part, pattern.removeprefix("**/")) for part in _prefixes(name, pattern))
        if line and not line.startswith("#") and fits:
            decision = line.startswith("!")
    return decision


def _prefixes(name: str, pattern: str) -> list[str]:
    parts = Path(name).parts
    return list(parts) if pattern.startswith("**/") else ["/".join(parts[: n + 1]) for n in range(len(parts))]


def context(folder: Path) -> Path:
    """Copy what the build of the image gets to see."""
    listed = run("git", "ls-files", "--cached", "--others", "--exclude-standard").stdout.splitlines()
    for name in filter(admitted, listed):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


def test_the_build_sees_no_data_no_secrets_and_no_tests() -> None:
    refused = (".env", ".git/config", ".data/keys/local-issuer.json", "tests/conftest.py", "deploy/compose/.env")
    assert not [name for name in (*refused, "src/workbench/__pycache__/x.pyc") if admitted(name)]
    assert admitted("src/workbench/__init__.py")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The virtual environment of the image, made by the image's own steps from what the build gets to see."""
    folder = tmp_path_factory.mktemp("image")
    place = context(folder / "context")
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    steps = [shlex.split(rest) for word, rest in dockerfile() if word == "RUN" and "build.sh" in rest]
    assert [step[1] for step in steps] == ["dependencies", "service"]
    for script, step, _ in steps:
        subprocess.run([place / script, step, folder / "opt"], cwd=place, env=environment, check=True, timeout=100)
    return folder / "opt" / "bin"


@contextmanager
def serving(installed: Path, folder: Path) -> Generator[tuple[subprocess.Popen[bytes], dict[str, str]]]:
    """Run what the image runs, with the image's variables and nothing of this project's own."""
    port = ReservedPort()
    variables = dict(part.split("=", 1) for word, rest in dockerfile() if word == "ENV" for part in shlex.split(rest))
    # In the image everything is compiled beforehand, which takes longer than this test.
    del variables["PYTHONDONTWRITEBYTECODE"]
    variables |= {
        "PATH": f"{installed}:/usr/bin:/bin",
        "WORKBENCH__DATA_ROOT": str(folder / "data"),
        "WORKBENCH__SERVICE__HOST": "127.0.0.1",
        "WORKBENCH__SERVICE__PORT": str(port.number),
        "SSL_CERT_FILE": os.environ["SSL_CERT_FILE"],
    }
    entry, arguments = (json.loads(dict(dockerfile())[word]) for word in ("ENTRYPOINT", "CMD"))
    port.release()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [installed / entry[0], *arguments], cwd=folder, env=variables, stdout=log, stderr=log
        )
    try:
        yield process, variables
    finally:
        process.kill()
        process.wait()


async def test_what_the_image_installs_serves_alone_and_drains_when_it_is_told_to_stop(
    installed: Path, tmp_path: Path
) -> None:
    assert run(
        installed / "python", "-c", "import workbench; print(workbench.__file__)", folder=tmp_path
    ).stdout.startswith(str(installed.parent))
    check = json.loads(next(rest for word, rest in dockerfile() if word == "HEALTHCHECK").partition("CMD ")[2])
    with serving(installed, tmp_path) as (process, variables):
        command = [str(installed / check[0]), *check[1:]]

        def is_healthy() -> bool:
            return subprocess.run(command, env=variables, capture_output=True, check=False).returncode == 0

        assert not is_healthy()
        await eventually(is_healthy, timeout_seconds=SECONDS, reason=(tmp_path / "log").read_text())
        keys = {path.name for path in (tmp_path / "data" / "keys").iterdir()}
        assert keys == {"flow-marks.key", "local-issuer.json", "pseudonyms.key", "service-keys.key"}
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, SECONDS) == 0
        assert not is_healthy()


def test_what_the_image_installs_looks_after_the_database(installed: Path, tmp_path: Path) -> None:
    variables = {"PATH": "/usr/bin:/bin", "WORKBENCH__DATA_ROOT": str(tmp_path / "data")}
    for arguments in (["db", "upgrade"], ["db", "check"]):
        command = [installed / "workbench", *arguments]
        finished = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False)
        assert finished.returncode == 0, finished.stderr
