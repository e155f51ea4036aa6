"""Runs a program and counts the interpreter's steps in it, by function, from one signal to another.

`python -m benchmarks.stepping FILE PYTHON PROGRAM ...`: SIGUSR1 begins to count and makes the file, SIGUSR2 ends and
fills it. `benchmarks.steps` sends them.
"""

import json
import os
import runpy
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

Trace = Callable[[FrameType, str, Any], Any]


class Steps:
    """Counts calls and steps (opcodes) of every function that is entered while it is on."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._is_on = False
        self._calls: Counter[CodeType] = Counter()
        self._steps: Counter[CodeType] = Counter()

    def begin(self, *_: Any) -> None:
        self._is_on = True
        self._file.write_text("", encoding="utf-8")

    def end(self, *_: Any) -> None:
        self._is_on = False
        counted = [(_named(code), self._calls[code], steps) for code, steps in self._steps.items()]
        whole = self._file.with_suffix(".new")
        whole.write_text(json.dumps(counted), encoding="utf-8")
        whole.rename(self._file)
        self._calls.clear()
        self._steps.clear()

    def see(self, frame: FrameType, _event: str, _argument: Any) -> Trace | None:
        """Take note of a call, which a coroutine that goes on is, too."""
        if not self._is_on:
            return None
        self._calls[frame.f_code] += 1
        frame.f_trace_lines, frame.f_trace_opcodes = False, True
        return self._step

    def _step(self, frame: FrameType, event: str, _argument: Any) -> Trace:
        if event == "opcode":
            self._steps[frame.f_code] += 1
        return self._step


def _named(code: CodeType) -> str:
    place = code.co_filename.rpartition("site-packages" + os.sep)[2].rpartition(os.sep + "src" + os.sep)[2]
    return f"{place}:{code.co_firstlineno} {code.co_qualname}"


def main() -> None:
    """Run the program under our eyes."""
    file, _python, program, *arguments = sys.argv[1:]
    steps = Steps(Path(file))
    signal.signal(signal.SIGUSR1, steps.begin)
    signal.signal(signal.SIGUSR2, steps.end)
    threading.settrace(steps.see)
    sys.settrace(steps.see)
    sys.argv = [program, *arguments]
    runpy.run_path(program, run_name="__main__")


if __name__ == "__main__":
    main()
