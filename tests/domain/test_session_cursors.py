"""Cursors of lists of sessions are their lists' and their callers' own (13)."""

from datetime import UTC, datetime
from uuid import UUID

import msgspec
import pytest

from workbench.domain.errors import InvalidError
from workbench.domain.identity.model import Principal
from workbench.domain.paging import Cursor
from workbench.domain.troubleshooting.cursors import decode_cursor, encode_cursor

ANN = Principal(workspace_id="ours", role="user", id="ann")
PLACE = Cursor(created_datetime=datetime(2026, 3, 2, 9, tzinfo=UTC), id=UUID(int=1))


def test_what_was_written_is_read() -> None:
    assert decode_cursor(encode_cursor(PLACE, "sessions", ANN), Cursor, "sessions", ANN) == PLACE


@pytest.mark.parametrize(
    ("of", "whose"),
    [
        ("queue", ANN),
        ("sessions", msgspec.structs.replace(ANN, id="bob")),
        ("sessions", msgspec.structs.replace(ANN, workspace_id="theirs")),
    ],
)
def test_to_another_list_or_caller_it_says_nothing(of: str, whose: Principal) -> None:
    with pytest.raises(InvalidError) as refused:
        decode_cursor(encode_cursor(PLACE, "sessions", ANN), Cursor, of, whose)
    assert (refused.value.error_code, refused.value.field) == ("validation_error", "cursor")


class Forged(msgspec.Struct, array_like=True):
    """What is written like a place in a list."""

    created_datetime: str
    id: str = str(PLACE.id)


@pytest.mark.parametrize("moment", ["", "yesterday", "2026-03-02T09:00:00", "0001-01-01T00:00:00+14:00"])
def test_a_place_that_cannot_be_is_refused_too(moment: str) -> None:
    with pytest.raises(InvalidError):
        decode_cursor(encode_cursor(Forged(moment), "sessions", ANN), Cursor, "sessions", ANN)


@pytest.mark.parametrize("text", ["x", "é", "W10", "ey", "=" * 9])
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(InvalidError):
        decode_cursor(text, Cursor, "sessions", ANN)
