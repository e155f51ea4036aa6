"""Where a command writes a large result: a file that is there only once it is whole, or standard output."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Generator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO

import rich_click as click

from workbench.domain.errors import ConflictError

Outlet = AbstractContextManager[IO[bytes]]


@contextlib.contextmanager
def file_outlet(path: Path, *, force: bool) -> Generator[IO[bytes]]:
    """Write beside the file, and put it in its place when the block ends well; readable by its owner alone.

    Raises ConflictError where the file is there and not to be replaced, ClickException where it cannot be written.
    """
    # A link is followed: what it leads to is replaced, not the link.
    target = path.resolve()
    _check(path, target, force=force)
    try:
        with _neighbour(target) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            # Once more: what is written takes long, and somebody may have been faster.
            _check(path, target, force=force)
            Path(file.name).replace(target)
        _sync_folder(target.parent)
    except OSError as error:
        raise click.ClickException(f"{path} was not written: {error}") from error


@contextlib.contextmanager
def _neighbour(target: Path) -> Generator[IO[bytes]]:
    """Open a file in the same folder, which is gone at the end of the block unless it has got another name."""
    with tempfile.NamedTemporaryFile(
        dir=target.parent, prefix=f".{target.name}.", suffix=".part", delete=False
    ) as file:
        try:
            yield file
        finally:
            Path(file.name).unlink(missing_ok=True)


@contextlib.contextmanager
def stdout_outlet() -> Generator[IO[bytes]]:
    """Write to standard output as it is, without a change of its bytes."""
    yield sys.stdout.buffer
    sys.stdout.buffer.flush()


def _check(path: Path, target: Path, *, force: bool) -> None:
    if target.exists() and not target.is_file():
        raise click.ClickException(f"{path} is not a file that can be replaced")
    if target.exists() and not force:
        raise ConflictError(f"{path} is there already; --force replaces it")


def _sync_folder(folder: Path) -> None:
    """Make the new name last, too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
