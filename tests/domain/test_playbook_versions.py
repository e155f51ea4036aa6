"""Versions of a playbook: what is imported stays, and one of them is followed (7.6)."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from tests.support.playbooks import EXAMPLE, checked, document, node, playbook, with_nodes

from workbench.domain.errors import NotFoundError, UnprocessableError
from workbench.domain.playbooks.versions import PlaybookVersion, StoredPlaybook, archived, imported, published

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
STORED = StoredPlaybook(id=UUID(int=1), key="printer-offline", title="Old title", domain=None)


def take(versions: list[PlaybookVersion], tree: Any) -> Any:
    return imported(versions, checked(tree), EXAMPLE, "ann", NOW)


def two_versions() -> list[PlaybookVersion]:
    first = take([], document()).version
    return [first, take([first], document(title="New title", domain="printers")).version]


def test_65_the_same_document_twice_is_unchanged_however_it_is_written() -> None:
    first = take([], document())
    assert (first.number, first.status, first.version.imported_by) == (1, "draft", "ann")
    assert first.version.document == playbook()
    again = take([first.version], dict(reversed(document().items())))
    assert (again.number, again.status, again.version) == (1, "unchanged", None)


def test_65_what_means_something_else_is_the_next_version_and_going_back_is_no_new_one() -> None:
    first, second = two_versions()
    assert (first.version, second.version) == (1, 2)
    assert (take([first, second], document()).number, take([first, second], document()).status) == (1, "unchanged")
    warned = take([first, second], with_nodes(extra=node())).version
    assert (warned.version, [each.code for each in warned.findings]) == (3, ["unreachable"])


def test_65_a_document_with_errors_is_no_version() -> None:
    with pytest.raises(UnprocessableError) as raised:
        take([], document(start="nowhere"))
    assert [finding["path"] for finding in raised.value.extra["findings"]] == ["start"]


def test_65_publishing_sets_what_new_sessions_follow_and_leaves_the_versions_as_they_are() -> None:
    first, second = two_versions()
    current, stamped = published(STORED, [first, second], 2, NOW)
    assert (current.status, current.current_version, current.title, current.domain) == (
        "published",
        2,
        "New title",
        "printers",
    )
    assert (stamped.published_at, stamped.document) == (NOW, second.document)
    back, again = published(current, [first, stamped], 1, NOW + timedelta(days=1))
    assert (back.current_version, back.title, again.version) == (1, "Printer offline or not printing", 1)
    _, kept = published(back, [again, stamped], 2, NOW + timedelta(days=2))
    assert kept.published_at == NOW
    with pytest.raises(NotFoundError) as raised:
        published(STORED, [first, second], 3, NOW)
    assert raised.value.error_code == "version_not_found"


def test_an_archived_playbook_keeps_its_version_and_can_be_published_again() -> None:
    versions = two_versions()
    current, _ = published(STORED, versions, 2, NOW)
    put_away = archived(current)
    assert (put_away.status, put_away.current_version) == ("archived", 2)
    assert published(put_away, versions, 1, NOW)[0].status == "published"
