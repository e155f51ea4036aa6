"""The database and files of a Semantic Workbench service, as that service leaves them behind."""

import hashlib
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

# As its migrations make them: SQLite has ids as 32 digits and times without a zone.
SCHEMA = """
CREATE TABLE "user" (user_id VARCHAR PRIMARY KEY, created_datetime {time} NOT NULL, name VARCHAR NOT NULL,
    image VARCHAR, service_user BOOLEAN NOT NULL);
CREATE TABLE assistantserviceregistration (assistant_service_id VARCHAR PRIMARY KEY,
    created_by_user_id VARCHAR NOT NULL REFERENCES "user" (user_id), created_datetime {time} NOT NULL,
    name VARCHAR NOT NULL, description VARCHAR NOT NULL, include_in_listing BOOLEAN NOT NULL,
    api_key_name VARCHAR NOT NULL, assistant_service_url VARCHAR NOT NULL,
    assistant_service_online_expiration_datetime {time}, assistant_service_online BOOLEAN NOT NULL);
CREATE TABLE assistant (assistant_id {id} PRIMARY KEY, owner_id VARCHAR NOT NULL REFERENCES "user" (user_id),
    assistant_service_id VARCHAR NOT NULL, created_datetime {time} NOT NULL, imported_from_assistant_id {id},
    name VARCHAR NOT NULL, image VARCHAR, metadata JSON, template_id VARCHAR NOT NULL);
CREATE TABLE conversation (conversation_id {id} PRIMARY KEY, created_datetime {time} NOT NULL,
    owner_id VARCHAR NOT NULL, title VARCHAR NOT NULL, metadata JSON, imported_from_conversation_id {id});
CREATE TABLE userparticipant (conversation_id {id} NOT NULL, user_id VARCHAR NOT NULL, name VARCHAR NOT NULL,
    image VARCHAR, service_user BOOLEAN NOT NULL, joined_datetime {time} NOT NULL, status VARCHAR,
    status_updated_datetime {time} NOT NULL, active_participant BOOLEAN NOT NULL,
    conversation_permission VARCHAR NOT NULL, metadata JSON, PRIMARY KEY (conversation_id, user_id));
CREATE TABLE assistantparticipant (conversation_id {id} NOT NULL, assistant_id {id} NOT NULL,
    name VARCHAR NOT NULL, image VARCHAR, joined_datetime {time} NOT NULL, status VARCHAR,
    status_updated_datetime {time} NOT NULL, active_participant BOOLEAN NOT NULL, metadata JSON,
    PRIMARY KEY (conversation_id, assistant_id));
CREATE TABLE conversationmessage (sequence INTEGER PRIMARY KEY, message_id {id} NOT NULL UNIQUE,
    conversation_id {id} NOT NULL, created_datetime {time} NOT NULL, sender_participant_id VARCHAR NOT NULL,
    sender_participant_role VARCHAR NOT NULL, message_type VARCHAR NOT NULL, content VARCHAR NOT NULL,
    content_type VARCHAR NOT NULL, metadata JSON, filenames JSON);
CREATE TABLE conversationmessagedebug (message_id {id} PRIMARY KEY, data JSON NOT NULL);
CREATE TABLE file (file_id {id} PRIMARY KEY, conversation_id {id} NOT NULL, filename VARCHAR NOT NULL,
    current_version INTEGER NOT NULL, created_datetime {time} NOT NULL);
CREATE TABLE fileversion (file_id {id} NOT NULL, version INTEGER NOT NULL, participant_id VARCHAR NOT NULL,
    participant_role VARCHAR NOT NULL, created_datetime {time} NOT NULL, metadata JSON,
    content_type VARCHAR NOT NULL, file_size INTEGER NOT NULL, storage_filename VARCHAR NOT NULL,
    PRIMARY KEY (file_id, version));
CREATE TABLE conversationshare (conversation_share_id {id} PRIMARY KEY, conversation_id {id} NOT NULL,
    created_datetime {time} NOT NULL, owner_id VARCHAR NOT NULL, label VARCHAR NOT NULL, metadata JSON,
    conversation_permission VARCHAR NOT NULL, is_redeemable BOOLEAN NOT NULL);
CREATE TABLE conversationshareredemption (conversation_share_redemption_id {id} PRIMARY KEY,
    conversation_share_id {id} NOT NULL, conversation_id {id} NOT NULL, conversation_permission VARCHAR NOT NULL,
    new_participant BOOLEAN NOT NULL, redeemed_by_user_id VARCHAR NOT NULL, created_datetime {time} NOT NULL)
"""
BEGAN = datetime(2025, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)
SERVICE_ID = "recorder.workbench.example"


class SemanticWorkbench:
    """Ann's conversation with an assistant, Ben, some messages, a file of two versions, and a share."""

    def __init__(self, url: str, files: Path) -> None:
        """Stand on an empty database and a folder that is there."""
        self.url = url
        self.files = files
        self.assistant, self.conversation, self.other, self.file, self.share = (uuid4() for _ in range(5))
        self.messages = [uuid4() for _ in range(1200)]
        self.versions = [b"first", b"second"]
        self._is_sqlite = make_url(url).get_backend_name() == "sqlite"

    async def make(self) -> None:
        """Make the tables and everything in them."""
        kinds = {"id": "CHAR(32)", "time": "DATETIME"} if self._is_sqlite else {"id": "UUID", "time": "TIMESTAMPTZ"}
        async with self._connected() as connection:
            for statement in SCHEMA.format(**kinds).split(";"):
                await connection.execute(text(statement))
            for table, rows in self._rows().items():
                await connection.execute(self._insert(table, rows[0]), [self._told(row) for row in rows])
        for version, content in enumerate(self.versions, 1):
            path = self.path_of(version)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    async def execute(self, statement: str) -> None:
        """Change something."""
        async with self._connected() as connection:
            await connection.execute(text(statement))

    def path_of(self, version: int) -> Path:
        """Where the bytes of a version of the file are."""
        name = hashlib.sha256(f"{self.file.hex}_{version}".encode()).hexdigest()
        return self.files / str(self.conversation) / name

    @asynccontextmanager
    async def _connected(self) -> AsyncGenerator[AsyncConnection]:
        driver = "sqlite+aiosqlite" if self._is_sqlite else "postgresql+asyncpg"
        arguments: dict[str, Any] = {} if self._is_sqlite else {"ssl": "disable"}
        engine = create_async_engine(make_url(self.url).set(drivername=driver), connect_args=arguments)
        async with engine.begin() as connection:
            yield connection
        await engine.dispose()

    def _insert(self, table: str, row: dict[str, Any]) -> Any:
        values = ", ".join(f"CAST(:{name} AS JSON)" if self._is_json(row[name]) else f":{name}" for name in row)
        if self._is_sqlite:
            values = ", ".join(f":{name}" for name in row)
        return text(f'INSERT INTO "{table}" ({", ".join(row)}) VALUES ({values})')

    def _is_json(self, value: Any) -> bool:
        return isinstance(value, dict | list)

    def _told(self, row: dict[str, Any]) -> dict[str, Any]:
        return {name: self._value(value) for name, value in row.items()}

    def _value(self, value: Any) -> Any:
        if self._is_json(value):
            return json.dumps(value)
        if self._is_sqlite and isinstance(value, UUID):
            return value.hex
        if self._is_sqlite and isinstance(value, datetime):
            return value.replace(tzinfo=None).isoformat(" ", "microseconds")
        return value

    def _rows(self) -> dict[str, list[dict[str, Any]]]:
        seat = {
            "joined_datetime": BEGAN,
            "status_updated_datetime": BEGAN,
            "active_participant": True,
            "image": None,
            "status": None,
            "metadata": {},
        }
        person = {**seat, "service_user": False}
        return {
            "user": [
                {"user_id": name.lower(), "created_datetime": BEGAN, "name": name, "image": None, "service_user": False}
                for name in ("Ann", "Ben")
            ],
            "assistantserviceregistration": [
                {
                    "assistant_service_id": SERVICE_ID,
                    "created_by_user_id": "ann",
                    "created_datetime": BEGAN,
                    "name": "Recorder",
                    "description": "Keeps what it is told",
                    "include_in_listing": True,
                    "api_key_name": "recorder",
                    "assistant_service_url": "http://127.0.0.1:1/",
                    "assistant_service_online_expiration_datetime": BEGAN,
                    "assistant_service_online": True,
                }
            ],
            "assistant": [
                {
                    "assistant_id": self.assistant,
                    "owner_id": "ann",
                    "assistant_service_id": SERVICE_ID,
                    "created_datetime": BEGAN,
                    "imported_from_assistant_id": None,
                    "name": "Recorder of Ann",
                    "image": None,
                    "metadata": {},
                    "template_id": " default",
                }
            ],
            "conversation": [
                {
                    "conversation_id": key,
                    "created_datetime": BEGAN,
                    "owner_id": "ann",
                    "title": title,
                    "metadata": {"note": "ü\u0000"},
                    "imported_from_conversation_id": None,
                }
                for key, title in ((self.conversation, "Trouble"), (self.other, "Quiet"))
            ],
            "userparticipant": [
                {
                    **person,
                    "conversation_id": key,
                    "user_id": name.lower(),
                    "name": name,
                    "conversation_permission": permission,
                }
                for key, name, permission in (
                    (self.conversation, "Ann", "read_write"),
                    (self.conversation, "Ben", "read"),
                    (self.other, "Ann", "read_write"),
                )
            ],
            "assistantparticipant": [
                {
                    **seat,
                    "conversation_id": self.conversation,
                    "assistant_id": self.assistant,
                    "name": "Recorder of Ann",
                }
            ],
            "conversationmessage": [
                {
                    "sequence": 2 * place + 5,
                    "message_id": key,
                    "conversation_id": self.other if place % 3 == 2 else self.conversation,
                    "created_datetime": BEGAN + timedelta(seconds=place),
                    "sender_participant_id": str(self.assistant) if place % 3 == 1 else "ann",
                    "sender_participant_role": "assistant" if place % 3 == 1 else "user",
                    "message_type": "chat",
                    "content": f"message {place} \\u0000",
                    "content_type": "text/plain",
                    "metadata": {"place": place},
                    "filenames": [],
                }
                for place, key in enumerate(self.messages)
            ],
            "conversationmessagedebug": [{"message_id": self.messages[1], "data": {"why": "because"}}],
            "file": [
                {
                    "file_id": self.file,
                    "conversation_id": self.conversation,
                    "filename": "notes/plan.txt",
                    "current_version": 2,
                    "created_datetime": BEGAN,
                }
            ],
            "fileversion": [
                {
                    "file_id": self.file,
                    "version": version,
                    "participant_id": "ann",
                    "participant_role": "user",
                    "created_datetime": BEGAN,
                    "metadata": {"version": version},
                    "content_type": "text/plain",
                    "file_size": len(content),
                    "storage_filename": f"{self.file.hex}_{version}",
                }
                for version, content in enumerate(self.versions, 1)
            ],
            "conversationshare": [
                {
                    "conversation_share_id": self.share,
                    "conversation_id": self.conversation,
                    "created_datetime": BEGAN,
                    "owner_id": "ann",
                    "label": "for Ben",
                    "metadata": {},
                    "conversation_permission": "read",
                    "is_redeemable": True,
                }
            ],
            "conversationshareredemption": [
                {
                    "conversation_share_redemption_id": uuid4(),
                    "conversation_share_id": self.share,
                    "conversation_id": self.conversation,
                    "conversation_permission": "read",
                    "new_participant": True,
                    "redeemed_by_user_id": "ben",
                    "created_datetime": BEGAN,
                }
            ],
        }
