"""A small script in the place of a language model, for trying the service out without a key, and for tests.

It always says the same to the same, says what it is, streams word by word, calls at most one tool, and counts words
where models count tokens.
"""

import asyncio
import dataclasses
import json
import re
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from pydantic_ai.messages import (
    ModelMessage,
    ModelRequestPart,
    ModelResponse,
    ModelResponsePart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models import Model
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel
from pydantic_ai.tools import ToolDefinition
from pydantic_ai.usage import RequestUsage

NAME = "workbench-demo"
GREETING = (
    f"Hello! I am {NAME}, a small script and not a language model: I stand in for one where none is configured. "
    "Ask me which files there are, to write a note, or to search the conversation."
)
ANSWER = f"I am {NAME}, a small script and not a language model, so I have no answer to that. You said: {{asked}}"
DONE = f"I called the tool {{tool}}, and this came back: {{result}}\nI am {NAME}, a small script: I make no more of it."
FAILED = f"I called the tool {{tool}}, and it failed: {{result}}\nI am {NAME}, a small script: I leave it at that."
NOTE_FILE = "note.txt"
SHOWN_CHARACTERS = 500
READ_CHARACTERS = 2000
_GREETINGS = re.compile(r"\b(hello|hi|hey|good (morning|day|evening))\b", re.IGNORECASE)
_WANTS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("list_files", re.compile(r"\b(?:which|what|list|show)\b.*\bfiles\b()", re.IGNORECASE | re.DOTALL)),
    (
        "write_file",
        re.compile(r"\bwrite\b.*?\bnote\b(?:\s+(?:about|that|saying|on))?\W*(.*)", re.IGNORECASE | re.DOTALL),
    ),
    ("search_conversation", re.compile(r"\bsearch\b(?:.*?\bfor\b)?\W*(.*)", re.IGNORECASE | re.DOTALL)),
)
"""Which tool a question asks for, and the words in it that the tool is called with."""


def demo_model(pause_seconds: float) -> Model:
    """The script as a model, with a pause before each word."""

    async def said(messages: list[ModelMessage], info: AgentInfo) -> AsyncGenerator[str | DeltaToolCalls]:
        latest = list(messages[-1].parts) if messages else []
        asked = " ".join(_text(part) for part in latest if isinstance(part, UserPromptPart))[:READ_CHARACTERS]
        returned = [part for part in latest if isinstance(part, ToolReturnPart)]
        call = None if returned else _wanted(asked, info.function_tools)
        if call is not None:
            yield {0: call}
            return
        for word in re.findall(r"\S+\s*", _after(returned[0]) if returned else _answer(asked)):
            await asyncio.sleep(pause_seconds)
            yield word

    return FunctionModel(stream_function=said, model_name=NAME)


def completed(messages: Sequence[ModelMessage], response: ModelResponse) -> ModelResponse:
    """The script's answer with what models tell at its end: why it ended, and words of what was shown and said."""
    calls = any(isinstance(part, ToolCallPart) for part in response.parts)
    shown = sum(_words(part) for message in messages for part in message.parts)
    usage = RequestUsage(input_tokens=shown, output_tokens=sum(map(_words, response.parts)))
    return dataclasses.replace(response, usage=usage, finish_reason="tool_call" if calls else "stop")


def _wanted(asked: str, tools: Sequence[ToolDefinition]) -> DeltaToolCall | None:
    """The first tool that is both asked for and offered."""
    offered = {tool.name: tool for tool in tools}
    for name, pattern in _WANTS:
        found = pattern.search(asked)
        if found is not None and name in offered:
            arguments = _arguments(offered[name].parameters_json_schema, found[1].strip() or asked.strip())
            return DeltaToolCall(name=name, json_args=json.dumps(arguments), tool_call_id=name)
    return None


def _arguments(schema: dict[str, Any], words: str) -> dict[str, str]:
    """What a tool must be given: a name of the file where it wants a name, otherwise the words of the question."""
    return {name: NOTE_FILE if "name" in name or "path" in name else words for name in schema.get("required", ())}


def _answer(asked: str) -> str:
    return GREETING if _GREETINGS.search(asked) else ANSWER.format(asked=_short(asked))


def _after(returned: ToolReturnPart) -> str:
    words = DONE if returned.outcome == "success" else FAILED
    return words.format(tool=returned.tool_name, result=_short(returned.model_response_str()))


def _short(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]} ..."


def _text(part: ModelRequestPart | ModelResponsePart) -> str:
    match part:
        case UserPromptPart(content=str(text)) | TextPart(content=text):
            return text
        case UserPromptPart(content=shown):
            return " ".join(each for each in shown if isinstance(each, str))
        case ToolReturnPart():
            return part.model_response_str()
        case ToolCallPart():
            return part.args_as_json_str()
        case _:
            return ""


def _words(part: ModelRequestPart | ModelResponsePart) -> int:
    return len(_text(part).split())
