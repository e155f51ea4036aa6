"""Draws the picture of the demo from what it really prints: `python docs/images/make_demo_picture.py`."""

# ruff: noqa: INP001 - a script beside the picture that it makes

import os
import re
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

PICTURE = Path(__file__).with_name("demo.svg")
WORKBENCH = Path(sys.executable).with_name("workbench")
WIDTH = 112
PATIENCE_SECONDS = 120


def transcript() -> str:
    """Run the demo once, as on a terminal that shows colours; what it prints."""
    terminal = {"COLUMNS": str(WIDTH), "FORCE_COLOR": "1", "TERM": "xterm-256color"}
    ran = subprocess.run(  # noqa: S603 - our own program
        [WORKBENCH, "demo", "--once"],
        env={**os.environ, **terminal},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=True,
    )
    return ran.stdout


def draw(printed: str) -> str:
    """Draw it as an SVG that needs nothing from elsewhere."""
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        console = Console(record=True, width=WIDTH, file=nowhere, force_terminal=True, color_system="truecolor")
        console.print(Text.from_ansi(printed.rstrip()))
    drawn = console.export_svg(title="make demo", unique_id="demo")
    # rich names a font on a server elsewhere; any monospaced font of the reader's will do.
    return re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL)


if __name__ == "__main__":
    PICTURE.write_text(draw(transcript()), encoding="utf-8")
    sys.stdout.write(f"{PICTURE} written\n")
