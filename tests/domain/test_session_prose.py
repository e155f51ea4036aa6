"""Telling a documentation: whatever happens, there is one first word and one last one (8.2)."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.support.sessions import case

from workbench.domain.identity.model import Principal
from workbench.domain.troubleshooting.documentation import documented
from workbench.domain.troubleshooting.failures import ProviderError
from workbench.domain.troubleshooting.narrating import (
    DoneEvent,
    ErrorEvent,
    MetaEvent,
    Narration,
    NarrationEvent,
    ResetEvent,
)
from workbench.domain.troubleshooting.prose import MAX_POLISHED, FactsLostError, ProseService, Written
from workbench.domain.troubleshooting.replies import briefing_reply, templated
from workbench.domain.troubleshooting.updates import UpdateRequest
from workbench.domain.troubleshooting.wishes import update_prose

ANN = Principal(workspace_id="w", role="user", id="ann")
CASE = case()
DOCUMENT = documented(CASE)


class Prose:
    """A service of prose that does what a test says."""

    def __init__(self, write: Callable[[Callable[[str], None]], Awaitable[str]] | None) -> None:
        self.write = write
        self.texts: dict[Any, str] = {}

    def rephrases(self, workspace_id: str, text: str) -> bool:
        return self.write is not None

    async def kept(self, workspace_id: str, session: Any) -> str | None:
        return self.texts.get((workspace_id, session.version))

    async def keep(self, workspace_id: str, case: Any, markdown: str) -> None:
        self.texts[workspace_id, case.session.version] = markdown

    async def rephrased(self, generation: Any, prose: Any, put: Any) -> Written:
        assert self.write is not None
        return Written(text=await self.write(put))


async def told(
    write: Callable[[Callable[[str], None]], Awaitable[str]] | None, *, is_there: bool = True, seconds: float = 5
) -> list[NarrationEvent]:
    events: list[NarrationEvent] = []

    async def there() -> bool:
        return is_there

    prose: Any = Prose(write)
    await Narration(prose, ANN, CASE, DOCUMENT, there).tell(events.append, seconds)
    return events


def text_of(events: list[NarrationEvent]) -> str:
    text = ""
    for event in events:
        text = "" if isinstance(event, ResetEvent) else text + getattr(event, "text", "")
    return text


async def test_without_a_model_the_houses_own_text_is_told() -> None:
    events = await told(None)
    assert isinstance(events[0], MetaEvent)
    assert text_of(events) == DOCUMENT.markdown
    assert events[-1] == DoneEvent(chars=len(DOCUMENT.markdown), generated_by="template")


@pytest.mark.parametrize(
    ("error", "reason"), [(ProviderError("overloaded"), "provider"), (FactsLostError(), "facts_lost")]
)
async def test_what_a_model_said_in_vain_is_taken_back(error: Exception, reason: str) -> None:
    async def write(put: Callable[[str], None]) -> str:
        put("Half")
        raise error

    events = await told(write)
    assert [type(event).__name__ for event in events[:3]] == ["MetaEvent", "DeltaEvent", "ResetEvent"]
    assert text_of(events) == DOCUMENT.markdown
    assert events[-1] == DoneEvent(
        chars=len(DOCUMENT.markdown),
        generated_by="template",
        fallback_reason=reason,  # type: ignore[arg-type]
    )


async def test_a_session_that_is_gone_is_told_no_further() -> None:
    async def write(put: Callable[[str], None]) -> str:
        put("Whole")
        return "Whole"

    events = await told(write, is_there=False)
    assert isinstance(events[-1], ErrorEvent)
    assert (events[-1].code, events[-1].retryable) == ("session_not_found", False)


async def test_what_takes_too_long_ends_with_an_error() -> None:
    async def write(_: Callable[[str], None]) -> str:
        await asyncio.Event().wait()
        return ""

    events = await told(write, seconds=0.01)
    assert [type(event).__name__ for event in events] == ["MetaEvent", "ErrorEvent"]
    assert isinstance(events[-1], ErrorEvent)
    assert (events[-1].code, events[-1].retryable) == ("time_limit", True)


async def test_who_leaves_is_told_nothing_more() -> None:
    has_begun = asyncio.Event()

    async def write(_: Callable[[str], None]) -> str:
        has_begun.set()
        await asyncio.Event().wait()
        return ""

    telling = asyncio.create_task(told(write))
    await asyncio.wait_for(has_begun.wait(), 5)
    telling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await telling


def test_a_long_text_is_not_rephrased() -> None:
    class Generating:
        def serves(self, workspace_id: str) -> bool:
            return True

    generating: Any = Generating()
    nothing: Any = None
    prose = ProseService(nothing, generating, nothing, nothing)
    assert prose.rephrases("w", "x" * MAX_POLISHED)
    assert not prose.rephrases("w", "x" * (MAX_POLISHED + 1))


def test_wishes_tell_for_whom_and_hide_secrets() -> None:
    wished = UpdateRequest(audience="email", tone="formal", language="fr", instructions="token: abc123")
    wishes = update_prose("Text", wished).wishes
    assert "mail" in wishes
    assert "formal" in wishes
    assert "abc123" not in wishes


def test_a_briefing_tells_what_is_known() -> None:
    packet = {
        "problem": "Printer offline",
        "environment": {"floor": "2"},
        "steps_tried": [{"prompt": "Restart it", "answer": "Did nothing"}],
        "psa_ticket_id": "T-1",
    }
    lines = briefing_reply(packet, "Seen before").content.splitlines()
    assert lines[1:] == [
        "Problem: Printer offline",
        "floor: 2",
        "Tried: Restart it — Did nothing",
        "Ticket: T-1",
        "Brought along: Seen before",
    ]


def test_a_reply_without_a_model_says_that_something_like_it_was_solved() -> None:
    reply = templated([], is_like_another=True)
    assert "Something like it was solved before" in reply.content
    assert reply.suggested_flows == []
