"""Services of a flow that take part in conversations, for trials."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from workbench.sdk.flows import Final, FlowContext, FlowService, ServiceError, Usage

talker = FlowService("talker")
services = [talker]

TOPICS = {"request": "request:wb:{workspace}:talker:{id}", "response": "response:wb:{workspace}:talker:{id}"}
BLUEPRINT = {
    "services": [{"service": "talker", "topics": TOPICS}],
    "interfaces": {
        "chat": {
            **TOPICS,
            "assistant": {"name": "Tally", "description": "Talks.", "image": "data:image/png;base64,AA=="},
        },
        "shy": {**TOPICS, "assistant": {"name": "Shy", "respond": "mention"}},
        "mapped": {
            **TOPICS,
            "assistant": {"name": "Mapped", "input_map": {"mapped": "message.content", "by": "message.sender.name"}},
        },
        "hidden": TOPICS,
    },
}

ASKED: list[Any] = []
WENT: list[str] = []


@talker.input()
async def talk(data: dict[str, Any], _: FlowContext) -> AsyncIterator[Any]:
    """Do what the message says."""
    ASKED.append(data)
    said = data.get("mapped") or data["message"]["content"]
    if said == "fail":
        yield "half "
        raise ServiceError("empty", "There is nothing to say.")
    if said == "wait":
        yield "one "
        try:
            await asyncio.sleep(60)
        finally:
            WENT.append(said)
    if said.startswith("once ") and not (mark := Path(said.removeprefix("once "))).exists():
        mark.touch()
        yield "lost "
        await asyncio.sleep(60)
    if said == "work":
        yield {"type": "status", "text": "looking it up"}
        yield {"type": "reasoning", "delta": "hm"}
        yield {"type": "tool_call", "id": "c1", "name": "look", "args": {"for": "it"}}
        yield {"type": "tool_result", "id": "c1", "result": [1]}
        yield {"type": "tool_call", "id": 7}
        yield {"chart": 1}
    yield {"type": "text", "delta": "You said "}
    yield {"type": "text", "delta": f"{said}."}
    yield Final(usage=Usage(model="talker", prompt_tokens=3, completion_tokens=2))
