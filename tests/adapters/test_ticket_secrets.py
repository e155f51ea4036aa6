"""Secrets of ticket systems are sealed for their connection, under keys that can be renewed."""

from pathlib import Path

import pytest

from workbench.adapters.keys.cipher import KeyCipher
from workbench.adapters.tickets.box import FolderKeys, NumberedBox
from workbench.domain.tickets.model import TicketSystemError

SECRET = {"keys": ["whsec_something-secret"]}
OWN_KEY = KeyCipher.new_key()


def keys_in(folder: Path) -> FolderKeys:
    """As another process has them."""
    return FolderKeys(folder, KeyCipher(OWN_KEY))


def box(folder: Path) -> NumberedBox:
    return NumberedBox(keys_in(folder))


def test_what_is_sealed_is_opened_for_its_owner_alone(tmp_path: Path) -> None:
    sealed = box(tmp_path).seal("default/1", SECRET)
    assert "something" not in sealed
    assert list(tmp_path.iterdir()) == []
    assert box(tmp_path).open("default/1", sealed) == SECRET
    spoilt = f"{sealed[:-4]}AAAA"
    for owner, text in (("default/2", sealed), ("default/1", spoilt), ("default/1", "7:x"), ("x", ""), ("x", "0:")):
        with pytest.raises(TicketSystemError) as lost:
            box(tmp_path).open(owner, text)
        assert lost.value.failure == "secret_lost"


def test_the_key_before_is_known_until_it_is_renewed_twice(tmp_path: Path) -> None:
    keys = keys_in(tmp_path)
    sealed = [box(tmp_path).seal("o", SECRET)]
    for number, forgotten in ((1, 0), (2, 0), (3, 1)):
        assert (keys.renew(), keys.forget_older()) == (number, forgotten)
        sealed.append(box(tmp_path).seal("o", SECRET))
    assert [text.partition(":")[0] for text in sealed] == ["0", "1", "2", "3"]
    for each in (sealed[0], *sealed[2:]):
        assert box(tmp_path).open("o", each) == SECRET
    with pytest.raises(TicketSystemError):
        box(tmp_path).open("o", sealed[1])


def test_keys_are_their_owner_s_to_read(tmp_path: Path) -> None:
    keys_in(tmp_path / "keys").renew()
    (path,) = (tmp_path / "keys").iterdir()
    assert path.stat().st_mode & 0o077 == 0
