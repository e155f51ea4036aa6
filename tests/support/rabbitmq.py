"""A real RabbitMQ for the tests: one broker per run, shared by its processes, each in a virtual host of its own."""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Generator
from pathlib import Path

import pytest

PROGRAMS = Path("/usr/lib/rabbitmq/bin")
START_SECONDS = 90.0
STOP_SECONDS = 30.0
VIRTUAL_HOSTS = ("master", *(f"gw{number}" for number in range(16)))
MISSING = "RabbitMQ is not installed (apt-get install rabbitmq-server): NOTHING about the bus on RabbitMQ is tested"


def require_rabbitmq() -> None:
    """Skip where there is none on a developer's machine; fail where all is to be checked."""
    if not (PROGRAMS / "rabbitmq-server").exists() or shutil.which("epmd") is None:
        if os.environ.get("CI"):
            pytest.fail(MISSING)
        pytest.skip(MISSING)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Broker:
    """A broker in a folder, with its own ports, names and home, so that it meets no other on the machine."""

    def __init__(self, folder: Path, ports: dict[str, int]) -> None:
        self._folder = folder
        self._ports = ports
        self._node = f"wb{ports['amqp']}@localhost"

    @property
    def port(self) -> int:
        return self._ports["amqp"]

    def url(self, virtual_host: str = "master", port: int | None = None) -> str:
        return f"amqp://guest:guest@127.0.0.1:{port or self.port}/{virtual_host}"

    def _environment(self) -> dict[str, str]:
        folder = str(self._folder)
        return {
            "PATH": os.environ["PATH"],
            "HOME": folder,
            "ERL_EPMD_PORT": str(self._ports["epmd"]),
            "RABBITMQ_NODENAME": self._node,
            "RABBITMQ_DIST_PORT": str(self._ports["dist"]),
            "RABBITMQ_CONFIG_FILE": f"{folder}/rabbitmq.conf",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/enabled_plugins",
            "RABBITMQ_MNESIA_BASE": f"{folder}/mnesia",
            "RABBITMQ_LOG_BASE": f"{folder}/log",
            "RABBITMQ_PID_FILE": f"{folder}/broker.pid",
            # Small machines: no spinning schedulers.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none",
        }

    def start(self) -> dict[str, int]:
        """Start epmd and the broker; gives their process ids."""
        self._configure()
        environment = self._environment()
        with (self._folder / "out.log").open("ab") as log:
            quiet = {"stdout": log, "stderr": log, "stdin": subprocess.DEVNULL, "env": environment}
            epmd = subprocess.Popen(
                ["epmd", "-port", str(self._ports["epmd"]), "-address", "127.0.0.1"], start_new_session=True, **quiet
            )
            broker = subprocess.Popen([PROGRAMS / "rabbitmq-server"], start_new_session=True, **quiet)
        pids = {"epmd": epmd.pid, "broker": broker.pid}
        try:
            self._wait()
        except BaseException:
            stop(pids)
            raise
        # They are ended by whoever leaves last, which may be another process.
        epmd.returncode = broker.returncode = 0
        return pids

    def _configure(self) -> None:
        self._folder.mkdir(exist_ok=True)
        hosts = [{"name": name} for name in VIRTUAL_HOSTS]
        everything = {"user": "guest", "configure": ".*", "write": ".*", "read": ".*"}
        definitions = {
            "users": [{"name": "guest", "password": "guest", "tags": "administrator"}],
            "vhosts": hosts,
            "permissions": [{"vhost": name, **everything} for name in VIRTUAL_HOSTS],
        }
        (self._folder / "definitions.json").write_text(json.dumps(definitions))
        (self._folder / "enabled_plugins").write_text("[].")
        (self._folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self.port}\n"
            f"load_definitions = {self._folder}/definitions.json\n"
            "disk_free_limit.absolute = 1MB\nlog.console = false\nlog.file.level = warning\n"
        )

    def _wait(self) -> None:
        """Until it takes connections to our virtual hosts: the listener comes last."""
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            time.sleep(0.1)
        log = (self._folder / "out.log").read_text(errors="replace")[-2000:]
        raise RuntimeError(f"RabbitMQ did not start within {START_SECONDS:g} s: {log}")

    def control(self, *words: str) -> str:
        """Run rabbitmqctl; takes seconds."""
        command = [PROGRAMS / "rabbitmqctl", "-n", self._node, *words]
        ran = subprocess.run(command, env=self._environment(), capture_output=True, text=True, check=False, timeout=60)
        if ran.returncode:
            raise RuntimeError(ran.stderr or ran.stdout)
        return ran.stdout


def stop(pids: dict[str, int]) -> None:
    """End what was started, by its process groups."""
    for name in ("broker", "epmd"):
        _end(pids[name])


def _end(pid: int) -> None:
    for sent in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, sent)
        until = time.monotonic() + STOP_SECONDS
        while time.monotonic() < until:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
            try:
                os.killpg(pid, 0)
            except ProcessLookupError:
                return
            time.sleep(0.05)


def new_broker(folder: Path) -> Broker:
    return Broker(folder, {name: free_port() for name in ("amqp", "dist", "epmd")})


@contextlib.contextmanager
def own_broker(folder: Path) -> Generator[Broker]:
    """A broker of a test's own, to be broken."""
    require_rabbitmq()
    broker = new_broker(folder)
    pids = broker.start()
    try:
        yield broker
    finally:
        stop(pids)


@contextlib.contextmanager
def shared_broker(folder: Path, worker: str) -> Generator[Broker]:
    """The run's one broker: the first process starts it, the last one to leave stops it."""
    require_rabbitmq()
    folder.mkdir(exist_ok=True)
    users, record = folder / "users", folder / "broker.json"
    with _locked(folder):
        users.mkdir(exist_ok=True)
        if record.exists():
            told = json.loads(record.read_text())
            broker = Broker(folder / "data", told["ports"])
        else:
            broker = new_broker(folder / "data")
            told = {"ports": broker._ports, "pids": broker.start()}
            record.write_text(json.dumps(told))
        (users / worker).touch()
    try:
        yield broker
    finally:
        with _locked(folder):
            (users / worker).unlink()
            if not any(users.iterdir()):
                stop(told["pids"])
                shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _locked(folder: Path) -> Generator[None]:
    with (folder.parent / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
