"""What a model streams, as events of a turn."""

from collections.abc import Iterator
from typing import Any, Literal

import msgspec
from pydantic_ai.messages import (
    ModelResponse,
    ModelResponseStreamEvent,
    PartDeltaEvent,
    PartEndEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    ThinkingPart,
    ThinkingPartDelta,
    ToolCallPart,
    ToolCallPartDelta,
)

from workbench.domain.parts.events import ProducerEvent
from workbench.domain.texts import cleaned

Said = Literal["text", "reasoning"]


def told(kind: str, **payload: Any) -> ProducerEvent:
    """An event with the payload as it may be stored."""
    return ProducerEvent(type=kind, payload=cleaned(payload))


def arguments_of(part: ToolCallPart) -> dict[str, Any] | None:
    """What a tool is called with; None where that is no JSON object."""
    if part.args is not None and not isinstance(part.args, str):
        return dict(part.args)
    try:
        return msgspec.json.decode(part.args, type=dict[str, Any]) if part.args else {}
    except (msgspec.DecodeError, UnicodeEncodeError):
        return None


class Blocks:
    """The blocks of one call of a model, each begun before it is added to, and none without content.

    Their ids are our own: those of providers need not differ from call to call.
    """

    def __init__(self, prefix: str) -> None:
        """Begin all ids with `prefix`, which belongs to this call alone."""
        self._prefix = prefix
        self._open: dict[int, tuple[Said, str]] = {}
        self._begun = 0
        self._tools: dict[int, str] = {}

    def told(self, event: ModelResponseStreamEvent) -> Iterator[ProducerEvent]:
        """What an event of the library tells of a turn; nothing for what is not shown."""
        match event:
            case PartStartEvent(index=index, part=TextPart(content=text)):
                yield from self._said("text", index, text)
            case PartDeltaEvent(index=index, delta=TextPartDelta(content_delta=text)):
                yield from self._said("text", index, text)
            case PartStartEvent(index=index, part=ThinkingPart(content=text)):
                yield from self._said("reasoning", index, text)
            case PartDeltaEvent(index=index, delta=ThinkingPartDelta(content_delta=str(text))):
                yield from self._said("reasoning", index, text)
            case PartStartEvent(index=index, part=ToolCallPart() as part):
                yield from self._tool_started(index, part.tool_name)
                yield from self._tool_argued(index, part.args if isinstance(part.args, str) else None)
            case PartDeltaEvent(index=index, delta=ToolCallPartDelta(args_delta=str(args))):
                yield from self._tool_argued(index, args)
            case PartEndEvent(index=index):
                yield from self._ended(index)
            case _:
                pass

    def tools(self, response: ModelResponse) -> list[tuple[str, ToolCallPart]]:
        """The tools that the whole answer calls, each with the id under which it was begun."""
        return [
            (self._tools[index], part)
            for index, part in enumerate(response.parts)
            if isinstance(part, ToolCallPart) and index in self._tools
        ]

    def _said(self, kind: Said, index: int, text: str) -> Iterator[ProducerEvent]:
        if not text:
            return
        if index in self._open and self._open[index][0] != kind:
            yield from self._ended(index)
        if index not in self._open:
            self._begun += 1
            self._open[index] = kind, f"{self._prefix}-{self._begun}"
            yield told(f"{kind}.start", id=self._open[index][1])
        yield told(f"{kind}.delta", id=self._open[index][1], delta=text)

    def _ended(self, index: int) -> Iterator[ProducerEvent]:
        if index in self._open:
            kind, block_id = self._open.pop(index)
            yield told(f"{kind}.end", id=block_id)

    def _tool_started(self, index: int, name: str) -> Iterator[ProducerEvent]:
        self._begun += 1
        self._tools[index] = f"{self._prefix}-{self._begun}"
        yield told("tool.start", toolCallId=self._tools[index], toolName=name)

    def _tool_argued(self, index: int, args: str | None) -> Iterator[ProducerEvent]:
        """Arguments that come in one piece, not as text, are told when the answer is whole."""
        if index in self._tools and args:
            yield told("tool.args.delta", toolCallId=self._tools[index], delta=args)
