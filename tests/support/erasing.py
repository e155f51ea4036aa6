"""A person with something of everything, and a walk over every table for what is left of them."""

import asyncio
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import Text, cast, func, select
from tests.support.assistants import Kind, RecordingAssistantService
from tests.support.behaviours import status
from tests.support.databases import Store, open_store
from tests.support.service import Service
from tests.support.usage import bill, model_call, settled

from workbench.adapters.sql.schema import metadata
from workbench.domain.ids import new_id
from workbench.domain.model_assistants.model import ModelConfig

ANN = "tenant-1.ann-ä7f3e"
ANN_NAME = "Ann Lindqvist"
SAID = "the heron is blue"
IMAGE = "data:image/png;base64,QW5uJ3MgZmFjZQ=="


class Life:
    """What Ann did, in conversations by what becomes of them."""

    def __init__(self, service: Service, recorder: RecordingAssistantService) -> None:
        self.service = service
        self.recorder = recorder
        self.ann = service.user(ANN, name=ANN_NAME)
        self.bea = service.user("bea")
        self.alone = ""
        self.led = ""
        self.visited = ""
        self.anns_robot = ""
        self.beas_robot = ""
        self.messages: dict[str, str] = {}

    async def say(self, who: httpx.AsyncClient, conversation: str, content: str, **more: Any) -> str:
        """Post a message; gives its id."""
        answer = await who.post(f"/conversations/{conversation}/messages", json={"content": content, **more})
        assert answer.status_code == 200, answer.text
        return answer.json()["id"]

    async def upload(self, who: httpx.AsyncClient, conversation: str, name: str, content: str) -> None:
        """Upload a version of a file."""
        form = {"metadata": f'{{"{name}": {{"by": "{ANN}"}}}}'}
        sent = [("files", (name, content.encode(), "text/plain"))]
        answer = await who.put(f"/conversations/{conversation}/files", files=sent, data=form)
        assert answer.status_code == 200, answer.text

    async def live(self) -> None:
        """Leave something in every table."""
        await self._found()
        self.alone = await self._conversation(self.ann, "Ann alone")
        self.led = await self._conversation(self.ann, "Led by Ann")
        self.visited = await self._conversation(self.bea, "Visited by Ann")
        for conversation, others in (
            (self.led, [("oda", "read"), ("bea", "read_write")]),
            (self.visited, [(ANN, "read_write")]),
        ):
            for user, permission in others:
                await self.service.seat_user(conversation, user, permission)  # type: ignore[arg-type]
        (await self.ann.put("/users/me", json={"name": ANN_NAME, "image": IMAGE})).raise_for_status()
        await self._seat_robots()
        for conversation in (self.alone, self.led, self.visited):
            await self._talk(conversation)
        await self._share()
        await self._fail_to_deliver()
        registration = {"assistant_service_id": "annas.example", "name": "hers", "description": ""}
        (await self.ann.post("/assistant-service-registrations", json=registration)).raise_for_status()
        (await self.ann.put(f"/conversations/{self.led}/retention", json={"files_days": 90})).raise_for_status()
        await self._use_models()
        await self._limit()
        await self._ask()

    async def _ask(self) -> None:
        """Ann asks and breaks it off; the answer fails, and names her."""
        turns = f"/conversations/{self.visited}/turns"
        robot = self.service.assistant(self.beas_robot, self.recorder.service_id)
        mentions = [{"id": 1, "title": ANN, "document_type": "note"}]
        asked = {"content": SAID, "mentioned_documents": mentions}
        new = {"turn_id": "asked", "assistant_id": self.beas_robot, "input": asked}
        failure = {"code": "tool_failed", "message": f"{ANN_NAME} ({ANN}) has no mailbox"}
        said = {"type": "tool.start", "toolCallId": "1", "toolName": "mail", "metadata": {"to": ANN}}
        for who, method, path, body in (
            (self.ann, "POST", turns, new),
            (robot, "PUT", f"{turns}/asked/lease", {"producer_id": "p"}),
            (robot, "POST", f"{turns}/asked/events", {"epoch": 1, "batch": 1, "events": [said]}),
            (self.ann, "POST", f"{turns}/asked/cancel", {"reason": "enough"}),
            (robot, "POST", f"{turns}/asked/finalize", {"epoch": 1, "outcome": "failed", "error": failure}),
        ):
            (await who.request(method, path, json=body)).raise_for_status()

    async def _limit(self) -> None:
        """An admin gives Ann limits of her own, and something of hers is under way."""
        limits = [{"measure": "turns", "period": "day", "amount": 900}]
        (await self.service.admin().put(f"/budgets/user/{ANN}", json={"limits": limits})).raise_for_status()
        turn = {"turn_id": "begun", "assistant_id": self.anns_robot, "input": {"message_id": self.messages[self.led]}}
        (await self.ann.post(f"/conversations/{self.led}/turns", json=turn)).raise_for_status()

    async def _use_models(self) -> None:
        """Ann pays for a turn, and for another nobody can be named but her as the conversation's owner."""
        payers = ((ANN, {}), (None, {"conversation_owner": ANN}))
        async with open_store(self.service.database_url) as store:
            for user_id, metadata in payers:
                turn = new_id()
                what = bill(turn, user_id=user_id, conversation_id=UUID(self.led), metadata=metadata)
                await settled(store, what, model_call(turn, store.clock.now()))
            async with store.transactions.write("default") as tx:
                tx.model_configs.put(UUID(self.beas_robot), "chat", ModelConfig(system_prompt=ANN))

    async def _found(self) -> None:
        new = {"assistant_service_id": self.recorder.service_id, "name": "Recorder", "description": ""}
        (await self.ann.post("/assistant-service-registrations", json=new)).raise_for_status()
        (await self.recorder.announce(self.service.url)).raise_for_status()
        for who, name in ((self.ann, "anns_robot"), (self.bea, "beas_robot")):
            made = await who.post("/assistants", json={"assistant_service_id": self.recorder.service_id, "name": name})
            setattr(self, name, made.json()["id"])

    async def _conversation(self, who: httpx.AsyncClient, title: str) -> str:
        metadata = {"participantAppMetadata": {ANN: {"pinned": True}, "bea": {}}, "lead": ANN}
        return (await who.post("/conversations", json={"title": title, "metadata": metadata})).json()["id"]

    async def _seat_robots(self) -> None:
        seats = ((self.ann, self.alone, self.anns_robot), (self.ann, self.led, self.anns_robot))
        for who, conversation, robot in (*seats, (self.bea, self.visited, self.beas_robot)):
            (await who.put(f"/conversations/{conversation}/participants/{robot}", json={})).raise_for_status()

    async def _talk(self, conversation: str) -> None:
        me = f"/conversations/{conversation}/participants/me"
        (await self.ann.put(me, json={"status": "writing", "metadata": {"of": ANN}})).raise_for_status()
        said = {"metadata": {"by": ANN, "mentions": ["bea"]}, "debug_data": {"user": ANN}}
        self.messages[conversation] = await self.say(self.ann, conversation, f"{SAID} in {conversation}", **said)
        if conversation != self.alone:
            await self.say(self.bea, conversation, "bea says", metadata={"mentions": [ANN, "bea"], ANN: 1})
            await self.upload(self.bea, conversation, "both.txt", "by bea")
        robot = self.beas_robot if conversation == self.visited else self.anns_robot
        debug = {"prompt": [{"role": "user", "content": SAID, "name": ANN_NAME}]}
        await self.say(self.service.assistant(robot, self.recorder.service_id), conversation, "beep", debug_data=debug)
        await self.upload(self.ann, conversation, "both.txt", f"{SAID}, version two")
        await self.upload(self.ann, conversation, "hers.txt", f"{SAID} in a file")

    async def _share(self) -> None:
        for who, conversation, taker in ((self.ann, self.led, self.bea), (self.bea, self.visited, self.ann)):
            new = {
                "conversation_id": conversation,
                "label": "come",
                "conversation_permission": "read",
                "metadata": {"for": ANN},
            }
            share = (await who.post("/conversation-shares", json=new)).json()["id"]
            (await taker.post(f"/conversation-shares/{share}/redemptions")).raise_for_status()

    async def _fail_to_deliver(self) -> None:
        words = f"{SAID} for nobody"
        # Earlier events may still be on their way.
        refused = status(400, f"not from {ANN_NAME}")
        self.recorder.answer(Kind.EVENT, refused, where=lambda request: words.encode() in request.body)
        await self.say(self.ann, self.visited, words)
        path = f"/assistants/{self.beas_robot}/delivery"
        async with asyncio.timeout(10):
            while not (await self.bea.get(path)).json()["dead_letter_count"]:
                pass


async def found_in(store: Store, *needles: str, workspace: str = "default") -> dict[str, str]:
    """Every column of every table of the workspace in which a needle is found, in any spelling that JSON has for it."""
    spellings = {
        needle for each in needles for needle in (each, each.encode("unicode_escape").decode().replace("\\x", "\\u00"))
    }
    found: dict[str, str] = {}
    for table in metadata.sorted_tables:
        if "workspace_id" not in table.c:
            continue
        for column in table.c:
            text = cast(column, Text)
            for needle in spellings:
                query = select(func.min(text)).where(table.c.workspace_id == workspace, _contains(store, text, needle))
                if (value := (await store.database.rows(query))[0][0]) is not None:
                    found[f"{table.name}.{column.name}"] = f"{needle!r} in {value[:300]}"
    return found


def _contains(store: Store, text: Any, needle: str) -> Any:
    position = func.instr(text, needle) if store.database.dialect_name == "sqlite" else func.strpos(text, needle)
    return position > 0


async def rows_of(service: Service) -> dict[str, list[Any]]:
    """Everything in the database but what moves by itself."""
    async with open_store(service.database_url) as store:
        return {
            table.name: sorted((tuple(row) for row in await store.database.rows(select(table))), key=repr)
            for table in metadata.sorted_tables
            if table.name not in ("leases", "jobs", "deliveries", "assistant_services", "flow_hosts")
        }
