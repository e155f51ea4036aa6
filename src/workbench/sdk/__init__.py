"""For authors of assistants: a service in a few lines, and a client of the workbench."""

from workbench.sdk.assistant_client import AssistantClient
from workbench.sdk.client import WorkbenchClient
from workbench.sdk.command_line import run
from workbench.sdk.context import AssistantContext, Context
from workbench.sdk.conversation_client import ConversationClient
from workbench.sdk.errors import (
    CallError,
    ClashError,
    RefusedError,
    SdkError,
    TurnCancelledError,
    TurnLostError,
    UnknownError,
    UnreachableError,
)
from workbench.sdk.files_client import FilesClient
from workbench.sdk.http import create_app
from workbench.sdk.model import Event, File, FileVersion, Message, NewMessage, Participant, StreamEvent, StreamGap
from workbench.sdk.producing import Answer, ToolCall
from workbench.sdk.service import AssistantService, Settings
from workbench.sdk.templates import State, Template
from workbench.sdk.turn_model import ModelCall, OpenedTurn, Turn, TurnError, TurnEvent, TurnInput, TurnOptions
from workbench.sdk.turn_parts import TurnParts
from workbench.sdk.turns_client import TurnsClient

__all__ = [
    "Answer",
    "AssistantClient",
    "AssistantContext",
    "AssistantService",
    "CallError",
    "ClashError",
    "Context",
    "ConversationClient",
    "Event",
    "File",
    "FileVersion",
    "FilesClient",
    "Message",
    "ModelCall",
    "NewMessage",
    "OpenedTurn",
    "Participant",
    "RefusedError",
    "SdkError",
    "Settings",
    "State",
    "StreamEvent",
    "StreamGap",
    "Template",
    "ToolCall",
    "Turn",
    "TurnCancelledError",
    "TurnError",
    "TurnEvent",
    "TurnInput",
    "TurnLostError",
    "TurnOptions",
    "TurnParts",
    "TurnsClient",
    "UnknownError",
    "UnreachableError",
    "WorkbenchClient",
    "create_app",
    "run",
]
