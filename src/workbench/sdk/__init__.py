"""For authors of assistants: a service in a few lines, and a client of the workbench."""

from workbench.sdk.assistant_client import AssistantClient
from workbench.sdk.client import WorkbenchClient
from workbench.sdk.command_line import run
from workbench.sdk.context import AssistantContext, Context
from workbench.sdk.conversation_client import ConversationClient
from workbench.sdk.errors import CallError, ClashError, RefusedError, SdkError, UnknownError, UnreachableError
from workbench.sdk.files_client import FilesClient
from workbench.sdk.http import create_app
from workbench.sdk.model import Event, File, FileVersion, Message, NewMessage, Participant, StreamEvent, StreamGap
from workbench.sdk.service import AssistantService, Settings
from workbench.sdk.templates import State, Template

__all__ = [
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
    "NewMessage",
    "Participant",
    "RefusedError",
    "SdkError",
    "Settings",
    "State",
    "StreamEvent",
    "StreamGap",
    "Template",
    "UnknownError",
    "UnreachableError",
    "WorkbenchClient",
    "create_app",
    "run",
]
