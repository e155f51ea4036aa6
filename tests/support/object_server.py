"""A server that speaks S3, in a process of its own: what stands in for a cloud's object store."""

import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from types import TracebackType
from typing import Self
from uuid import uuid4


class ObjectServer:
    """Moto's server, on a free port of this machine."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port: int = free.getsockname()[1]
        self._url = f"http://127.0.0.1:{self._port}"
        self.options = {
            "endpoint": self._url,
            "allow_http": "true",
            "region": "us-east-1",
            "access_key_id": "testing",
            "secret_access_key": "testing",
        }

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self._port)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        while True:
            try:
                self._request("GET", "/")
            except (urllib.error.URLError, ConnectionError):
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise
                time.sleep(0.05)
            else:
                return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()

    def new_bucket(self) -> str:
        """Make a bucket of the test's own."""
        name = f"bucket-{uuid4().hex}"
        self._request("PUT", f"/{name}")
        return name

    def _request(self, method: str, path: str) -> None:
        request = urllib.request.Request(f"{self._url}{path}", method=method)
        with urllib.request.urlopen(request, timeout=5) as answer:
            answer.read()
