"""What was said in a conversation, as models are shown it."""

from collections.abc import Sequence

from pydantic_ai.messages import (
    BinaryContent,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    TextPart,
    UserContent,
    UserPromptPart,
)

from workbench.domain.model_assistants.ports import Line

OPENING = "The conversation so far:"
"""Put before what an assistant said first: some models refuse a conversation that no user begins."""
UNSEEN = "(image)"
"""What stands for pictures alone where the model sees none."""


def history_of(lines: Sequence[Line], *, with_pictures: bool) -> list[ModelMessage]:
    """The lines as the model's own chat, without empty ones, which some models refuse."""
    said = [message for line in lines if (message := _message(line, with_pictures=with_pictures)) is not None]
    if said and isinstance(said[0], ModelResponse):
        return [_told(OPENING), *said]
    return said


def _message(line: Line, *, with_pictures: bool) -> ModelMessage | None:
    text = line.text if line.text.strip() else ""
    if line.role == "assistant":
        return ModelResponse(parts=[TextPart(text)]) if text else None
    pictures = [BinaryContent(picture.data, media_type=picture.media_type) for picture in line.pictures]
    if not pictures or not with_pictures:
        return _told(text or UNSEEN) if text or pictures else None
    shown: list[UserContent] = [text, *pictures] if text else [*pictures]
    return ModelRequest(parts=[UserPromptPart(shown)])


def _told(text: str) -> ModelRequest:
    return ModelRequest(parts=[UserPromptPart(text)])
