"""What the service lets its own assistants do: see and write the conversation's files, and search what was said."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Annotated, Any
from uuid import UUID

import msgspec

from workbench.domain.errors import NotFoundError, WorkbenchError
from workbench.domain.files.model import Download, IncomingFile
from workbench.domain.files.service import FileService
from workbench.domain.files.uploading import UploadService
from workbench.domain.identity.model import Principal
from workbench.domain.messages.model import Message
from workbench.domain.messages.service import MessageService
from workbench.domain.model_assistants.model import ToolName
from workbench.domain.model_assistants.ports import CallTool, Tool, ToolError

MAX_LISTED = 500
MAX_READ_CHARACTERS = 32_768
MAX_READ_BYTES = 4 * 1024 * 1024
"""A larger file is not read at all."""
MAX_WRITTEN_CHARACTERS = 1024 * 1024
MAX_FOUND = 50
MAX_SHOWN_CHARACTERS = 1000


class ListFiles(msgspec.Struct, frozen=True, kw_only=True):
    """List the files of the conversation with size in bytes, type and version, by name."""

    prefix: Annotated[str, msgspec.Meta(description="Only files whose names begin so.", max_length=1024)] = ""


class ReadFile(msgspec.Struct, frozen=True, kw_only=True):
    """Read a text file of the conversation. A long one comes in pieces: the answer says where the next one begins."""

    filename: Annotated[str, msgspec.Meta(description="The file's name as it is listed.", max_length=1024)]
    offset: Annotated[int, msgspec.Meta(description="Characters to be left out at the beginning.", ge=0)] = 0


class WriteFile(msgspec.Struct, frozen=True, kw_only=True):
    """Write a text file into the conversation: a new one, or the next version of one that is there."""

    filename: Annotated[str, msgspec.Meta(description="The file's name.", min_length=1, max_length=1024)]
    content: Annotated[str, msgspec.Meta(description="The whole text.", max_length=MAX_WRITTEN_CHARACTERS)]


class SearchConversation(msgspec.Struct, frozen=True, kw_only=True):
    """Find earlier messages of the conversation that contain all of the words, the newest first."""

    words: Annotated[str, msgspec.Meta(description="Words, with blanks between them.", min_length=1, max_length=1024)]
    limit: Annotated[int, msgspec.Meta(description="How many at most.", ge=1, le=MAX_FOUND)] = 10


_ARGUMENTS: dict[ToolName, type[msgspec.Struct]] = {
    "list_files": ListFiles,
    "read_file": ReadFile,
    "write_file": WriteFile,
    "search_conversation": SearchConversation,
}


def tools_named(names: Sequence[ToolName]) -> tuple[Tool, ...]:
    """The tools as a model is told of them."""
    return tuple(
        Tool(name=name, description=_ARGUMENTS[name].__doc__ or "", parameters=_parameters(_ARGUMENTS[name]))
        for name in dict.fromkeys(names)
    )


class ToolService:
    """Does what models ask for, as the assistant that they speak for: with its seat, and no further."""

    def __init__(self, files: FileService, uploads: UploadService, messages: MessageService) -> None:
        self._files = files
        self._uploads = uploads
        self._messages = messages

    def bound(self, principal: Principal, conversation_id: UUID, allowed: Sequence[Tool]) -> CallTool:
        """The tools that an assistant may use in a conversation."""
        acts: dict[ToolName, Callable[[Principal, UUID, Any], Awaitable[Any]]] = {
            "list_files": self._list,
            "read_file": self._read,
            "write_file": self._write,
            "search_conversation": self._search,
        }
        names = {tool.name for tool in allowed}
        may = {str(name): (_ARGUMENTS[name], act) for name, act in acts.items() if name in names}

        async def call(name: str, arguments: dict[str, Any]) -> Any:
            if name not in may:
                raise ToolError(f"there is no tool {name!r}")
            shape, act = may[name]
            try:
                return await act(principal, conversation_id, msgspec.convert(arguments, shape))
            except (msgspec.ValidationError, WorkbenchError) as error:
                detail = error.detail if isinstance(error, WorkbenchError) else str(error)
                raise ToolError(detail) from error

        return call

    async def _list(self, principal: Principal, conversation_id: UUID, wanted: ListFiles) -> Any:
        found = (await self._files.list(principal, conversation_id, wanted.prefix)).files
        listed = [
            {
                "filename": file.filename,
                "size": file.file_size,
                "content_type": file.content_type,
                "version": file.current_version,
            }
            for file in found[:MAX_LISTED]
        ]
        return {"files": listed, "not_listed": len(found) - len(listed)}

    async def _read(self, principal: Principal, conversation_id: UUID, wanted: ReadFile) -> Any:
        try:
            found = await self._files.find(principal, conversation_id, wanted.filename)
        except NotFoundError:
            raise ToolError(f"there is no file {wanted.filename!r}") from None
        if not isinstance(found, Download):
            raise ToolError(f"there is no file {wanted.filename!r}")
        if found.size > MAX_READ_BYTES:
            raise ToolError(f"the file has {found.size} bytes; up to {MAX_READ_BYTES} can be read")
        try:
            text = b"".join([chunk async for chunk in await self._files.read(found)]).decode("utf-8-sig")
        except UnicodeDecodeError:
            raise ToolError(f"the file is not text but {found.content_type}") from None
        end = wanted.offset + MAX_READ_CHARACTERS
        return {"content": text[wanted.offset : end], "next_offset": end if end < len(text) else None}

    async def _write(self, principal: Principal, conversation_id: UUID, wanted: WriteFile) -> Any:
        stored = await self._uploads.upload(principal, conversation_id, _OneText(wanted))
        (file,) = stored.files
        return {"filename": file.filename, "version": file.current_version, "size": file.file_size}

    async def _search(self, principal: Principal, conversation_id: UUID, wanted: SearchConversation) -> Any:
        found = await self._messages.search(principal, conversation_id, wanted.words.split(), wanted.limit)
        return {"messages": [_shown(message) for message in found]}


class _OneText:
    """A text as an upload."""

    def __init__(self, wanted: WriteFile) -> None:
        self._wanted = wanted

    async def files(self) -> AsyncIterator[IncomingFile]:
        yield IncomingFile(filename=self._wanted.filename, content_type="text/plain", chunks=self._chunks())

    def metadata(self) -> str | None:
        return None

    async def _chunks(self) -> AsyncIterator[bytes]:
        yield self._wanted.content.encode()


def _shown(message: Message) -> dict[str, Any]:
    return {
        "at": message.timestamp.isoformat(timespec="seconds"),
        "from": message.sender.participant_role,
        "content": message.content[:MAX_SHOWN_CHARACTERS],
    }


def _parameters(arguments: type[msgspec.Struct]) -> dict[str, Any]:
    """JSON schema of the arguments, in one piece."""
    schema = msgspec.json.schema(arguments)
    whole: dict[str, Any] = schema["$defs"][arguments.__name__]
    return {name: value for name, value in whole.items() if name not in ("title", "description")}
