"""Secrets in files of their own, made on first use and readable by their owner alone."""

import contextlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

PRIVATE_FOLDER = 0o700
READABLE_BY_OTHERS = 0o077


def load_or_make(path: Path, make: Callable[[], bytes]) -> bytes:
    """Read the secret, or make it; of two processes that start at once, both use that of the first.

    Raises PermissionError where others than its owner can read the file.
    """
    path.parent.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    if not path.exists():
        _write_once(path, make())
    if path.stat().st_mode & READABLE_BY_OTHERS:
        raise PermissionError(f"{path} can be read by others; run: chmod 600 {path}")
    return path.read_bytes()


def _write_once(path: Path, content: bytes) -> None:
    """Write to a draft beside it, then link: a half-written secret is never seen, and the first to link wins."""
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            Path(path).hardlink_to(draft)
    finally:
        Path(draft).unlink()
