"""Models that reply and rephrase for sessions, behind their adapters; nothing goes over a network."""

# ruff: noqa: PLC0415 - the library takes seconds to load, and not every process of the suite runs these

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from tests.support.chat_models import NAME, REPLY, ChatModels

from workbench.domain.troubleshooting.failures import ProviderError
from workbench.domain.troubleshooting.writers import Line, Prose, Talk
from workbench.domain.usage.accumulating import Accumulator

TALK = Talk(report="It does not print", lines=(Line(role="person", text="Still not"),))
PROSE = Prose(template="Restarted PRN-02.", wishes="Be brief.")


def responder(models: ChatModels) -> Any:
    from workbench.adapters.models.chat_replies import ModelChatResponder

    return ModelChatResponder(models.reached, 20)


def polisher(models: ChatModels, timeout_seconds: float) -> Any:
    from workbench.adapters.models.polishing import ModelProsePolisher

    return ModelProsePolisher(models.reached, timeout_seconds)


async def polished(models: ChatModels, spent: Accumulator, timeout_seconds: float = 20) -> str:
    return "".join([piece async for piece in polisher(models, timeout_seconds).polish(NAME, PROSE, spent)])


async def test_a_model_that_tests_bring_along_fits_the_shape_of_a_reply() -> None:
    from pydantic_ai.models.test import TestModel

    from workbench.adapters.models.calls import ReachedModel
    from workbench.adapters.models.chat_replies import ModelChatResponder
    from workbench.domain.model_assistants.ports import ModelInfo

    reached = [ReachedModel(info=ModelInfo(name=NAME), provider="test", model=TestModel())]
    spent = Accumulator()
    reply = await ModelChatResponder(reached, 20).reply(NAME, TALK, spent)
    assert reply.content
    assert len({each.id for each in (*reply.actions, *reply.questions)}) == len(reply.actions) + len(reply.questions)
    (call,) = spent.calls
    assert call.prompt_tokens > 0
    assert call.model_ref == NAME


@pytest.mark.parametrize(
    "reply",
    [
        {},
        {"content": " \n"},
        {**REPLY, "actions": ["x"] * 11},
        {**REPLY, "fork": {"label": "a", "reason": "b", "options": ["one"]}},
    ],
)
async def test_a_reply_of_another_shape_is_asked_for_three_times_and_paid_for(reply: dict[str, Any]) -> None:
    models, spent = ChatModels(reply), Accumulator()
    with pytest.raises(ProviderError) as failure:
        await responder(models).reply(NAME, TALK, spent)
    assert failure.value.kind == "bad_output"
    assert len(models.shown) == 3
    assert sum(call.prompt_tokens for call in spent.calls) > 0


async def test_a_text_is_rephrased_piece_by_piece_and_what_it_took_is_noted() -> None:
    models, spent = ChatModels(), Accumulator()
    assert await polished(models, spent) == PROSE.template
    assert models.shown == [{"template": PROSE.template, "wishes": PROSE.wishes}]
    (call,) = spent.calls
    assert (call.model_ref, call.completion_tokens > 0) == (NAME, True)


async def test_a_model_that_says_nothing_has_failed() -> None:
    async def nothing(_: str) -> AsyncGenerator[str]:
        for piece in ():
            yield piece

    with pytest.raises(ProviderError):
        await polished(ChatModels(prose=nothing), Accumulator())


async def test_a_model_that_falls_silent_has_failed_in_time() -> None:
    async def silent(_: str) -> AsyncGenerator[str]:
        yield "One"
        await asyncio.Event().wait()

    spent = Accumulator()
    with pytest.raises(ProviderError) as failure:
        await polished(ChatModels(prose=silent), spent, 0.05)
    assert failure.value.kind == "timeout"
    assert [call.finish_reason for call in spent.calls] == ["error"]


async def test_a_model_that_is_stopped_tells_what_it_took() -> None:
    has_begun = asyncio.Event()

    async def held(_: str) -> AsyncGenerator[str]:
        yield "One"
        has_begun.set()
        await asyncio.Event().wait()

    spent = Accumulator()
    task = asyncio.create_task(polished(ChatModels(prose=held), spent))
    await asyncio.wait_for(has_begun.wait(), 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (call,) = spent.calls
    assert call.completion_tokens > 0
