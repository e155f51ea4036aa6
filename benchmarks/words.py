"""What the load's messages say: when each was sent and its number, so that whoever gets it can tell what is missing."""

import re
import time
from collections.abc import Iterator

SAID = re.compile(rb"at (\d+\.\d+) no (\d+) end")


def say(number: int) -> str:
    """Write a message of some 200 bytes; numbers count each conversation's messages."""
    return f"at {time.monotonic():.6f} no {number} end " + "x" * 170


def hear(content: bytes) -> Iterator[tuple[float, int]]:
    """Find what was said: when it was sent, on the clock that all processes of the machine share, and its number."""
    for found in SAID.finditer(content):
        yield float(found[1]), int(found[2])
