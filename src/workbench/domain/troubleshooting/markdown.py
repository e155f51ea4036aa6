"""People's words within Markdown: whatever they wrote, it is shown as they wrote it, and lays nothing out."""

import re

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>()#|~&!])")
_LINE_START = re.compile(r"^(\s*)([-+=]|\d+[.)](?=\s|$))")


def escaped_line(text: str) -> str:
    """A text on one line."""
    return _escaped(" ".join(text.split()))


def escaped_block(text: str) -> str:
    """A text whose lines and paragraphs stay."""
    lines = [_escaped(line.strip()) for line in text.strip().splitlines()]
    # Two blanks at the end of a line are what keeps it from running into the next.
    return "\n".join(
        f"{line}  " if line and after else line
        for line, after in zip(lines, [*lines[1:], ""][: len(lines)], strict=True)
    )


def _escaped(line: str) -> str:
    return _LINE_START.sub(_start_escaped, _SPECIAL.sub(r"\\\1", line))


def _start_escaped(found: re.Match[str]) -> str:
    mark = found[2]
    return f"{found[1]}{mark[:-1]}\\{mark[-1]}" if mark[0].isdigit() else f"{found[1]}\\{mark}"
