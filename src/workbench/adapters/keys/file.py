"""Secrets in files of their own, made on first use and readable by their owner alone."""

import os
from collections.abc import Callable
from pathlib import Path

PRIVATE = 0o600
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
    draft = path.with_name(f"{path.name}.{os.getpid()}.draft")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
    try:
        os.write(descriptor, content)
        os.fsync(descriptor)
        os.link(draft, path)
    except FileExistsError:
        return
    finally:
        os.close(descriptor)
        draft.unlink()
