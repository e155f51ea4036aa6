"""Secrets of ticket systems are sealed for their connection, under keys that can be renewed."""

from pathlib import Path

import pytest

from workbench.adapters.tickets.box import FolderKeys, NumberedBox
from workbench.domain.tickets.model import TicketSystemError

SECRET = {"keys": ["whsec_something-secret"]}


def box(folder: Path) -> NumberedBox:
    """As another process has it."""
    return NumberedBox(FolderKeys(folder))


def test_what_is_sealed_is_opened_for_its_owner_alone(tmp_path: Path) -> None:
    sealed = box(tmp_path).seal("default/1", SECRET)
    assert "something" not in sealed
    assert box(tmp_path).open("default/1", sealed) == SECRET
    for owner, text in (("default/2", sealed), ("default/1", sealed[:-4] + "AAAA"), ("default/1", "7:x"), ("x", "")):
        with pytest.raises(TicketSystemError) as lost:
            box(tmp_path).open(owner, text)
        assert lost.value.failure == "secret_lost"


def test_the_key_before_is_known_until_it_is_renewed_twice(tmp_path: Path) -> None:
    keys = FolderKeys(tmp_path)
    first = box(tmp_path).seal("o", SECRET)
    assert (keys.renew(), keys.forget_older()) == (2, 0)
    second = box(tmp_path).seal("o", SECRET)
    assert [text.partition(":")[0] for text in (first, second)] == ["1", "2"]
    assert box(tmp_path).open("o", first) == SECRET
    assert (keys.renew(), keys.forget_older()) == (3, 1)
    assert box(tmp_path).open("o", second) == SECRET
    with pytest.raises(TicketSystemError):
        box(tmp_path).open("o", first)


def test_keys_are_their_owner_s_to_read(tmp_path: Path) -> None:
    box(tmp_path / "keys").seal("o", SECRET)
    (path,) = (tmp_path / "keys").glob("*.key")
    assert path.stat().st_mode & 0o077 == 0
