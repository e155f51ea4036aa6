"""A service that is written with the SDK, called as the workbench calls it, beside a stand-in of the workbench."""

import asyncio
import io
import logging
import threading
import zipfile
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import msgspec
import pytest
from tests.support.servers import ReservedPort, eventually
from tests.support.workbench_stand_in import (
    CalledService,
    WorkbenchStandIn,
    called,
    conversation_json,
    seated,
    standing_in,
)

from workbench.sdk import (
    AssistantContext,
    AssistantService,
    ClashError,
    Context,
    Event,
    Message,
    Settings,
    State,
    Template,
    create_app,
)

KEY = "a-shared-key"


class Tone(msgspec.Struct):
    """Nested, so that the schema has definitions."""

    loud: bool = False


class Manner(msgspec.Struct):
    words: Annotated[int, msgspec.Meta(ge=1, title="Words")] = 3
    tone: Tone = msgspec.field(default_factory=Tone)


class Notes(msgspec.Struct):
    text: str = "nothing yet"


NOTES = State(id="notes", display_name="Notes", description="What was noted.", model=Notes)


class Author:
    """A service that notes what its handlers see, and can be held up or made to fail."""

    def __init__(self) -> None:
        template = Template(id="default", name="Noter", description="Notes.", config=Manner, states=(NOTES,))
        plain = Template(id="plain", name="Plain", description="Has nothing to set.")
        self.service = AssistantService(
            "noter.example", name="Noter", description="Notes.", templates=[template, plain]
        )
        self.seen: list[str] = []
        self.imported: list[bytes] = []
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.service.on_message("chat")(self.note)
        self.service.on_message("note", roles=("assistant",))(self.note)
        self.service.on("message.deleted", "conversation.updated")(self.hear)

    async def note(self, context: Context, message: Message) -> None:
        while not self.may_go_on.is_set():  # noqa: ASYNC110 - the service runs on a loop of its own
            await asyncio.sleep(0.005)
        if message.content == "fail":
            raise RuntimeError("as told")
        self.seen.append(message.content)
        await context.write(NOTES, Notes(message.content))

    async def hear(self, context: Context, event: Event) -> None:
        self.seen.append(f"{event.event} in {context.title}")


@pytest.fixture
async def workbench() -> AsyncGenerator[WorkbenchStandIn]:
    async with standing_in() as stand_in:
        yield stand_in


@pytest.fixture
async def author() -> Author:
    return Author()


@pytest.fixture
async def noter(workbench: WorkbenchStandIn, author: Author) -> AsyncGenerator[CalledService]:
    async with seated(author.service, workbench, KEY) as running:
        yield running


async def test_offers_its_templates_with_schemas(noter: CalledService) -> None:
    info = (await noter.client.get("/")).json()
    noting, plain = info["templates"]
    assert info["metadata"] == {}
    assert (noting["id"], plain["id"], plain["config"]["config"]) == ("default", "plain", {})
    config = noting["config"]
    assert config["config"] == {"words": 3, "tone": {"loud": False}}
    assert config["errors"] == []
    schema = config["json_schema"]
    assert schema["properties"]["words"]["title"] == "Words"
    assert schema["properties"]["words"]["minimum"] == 1
    assert schema["$defs"]["Tone"]["properties"]["loud"]["type"] == "boolean"


async def test_keeps_a_config_that_fits_and_refuses_one_that_does_not(noter: CalledService) -> None:
    path = f"{noter.path}/config"
    assert (await noter.client.get(path)).json()["config"]["words"] == 3
    taken = await noter.client.put(path, json={"config": {"words": 5}})
    assert taken.json()["config"] == {"words": 5, "tone": {"loud": False}}
    refused = await noter.client.put(path, json={"config": {"words": 0}})
    assert refused.status_code == 400
    assert "$.words" in refused.json()["detail"]
    assert (await noter.client.get(path)).json()["config"]["words"] == 5


async def test_keeps_a_state_that_people_change_and_tells_of_it(
    workbench: WorkbenchStandIn, noter: CalledService
) -> None:
    states = (await noter.client.get(f"{noter.seat}/states")).json()
    described = {"id": "notes", "display_name": "Notes", "description": "What was noted.", "enabled": True}
    assert states == {"states": [described]}
    path = f"{noter.seat}/states/notes"
    assert (await noter.client.get(path)).json()["data"] == {"text": "nothing yet"}
    request_id = uuid4().hex
    changed = await noter.client.put(path, json={"data": {"text": "milk"}}, headers={"X-Request-ID": request_id})
    assert changed.json() == (await noter.client.get(path)).json()
    assert changed.json()["data"] == {"text": "milk"}
    assert changed.json()["json_schema"]["properties"].keys() == {"text"}
    await eventually(workbench.state_events)
    (event,) = workbench.state_events()
    assert event.json == {"state_id": "notes", "event": "updated", "state": None}
    assert event.headers["x-request-id"] == request_id
    assert event.headers["x-assistant-id"] == str(noter.assistant_id)


async def test_refuses_state_that_does_not_fit_and_knows_no_other(noter: CalledService) -> None:
    refused = await noter.client.put(f"{noter.seat}/states/notes", json={"data": {"text": 1}})
    assert (refused.status_code, refused.json()["detail"]) == (400, "Expected `str`, got `int` - at `$.text`")
    assert (await noter.client.get(f"{noter.seat}/states/other")).status_code == 404
    assert (await noter.client.put(f"{noter.seat}/states/other", json={"data": {}})).status_code == 404
    elsewhere = f"{noter.path}/conversations/{uuid4()}/states"
    assert (await noter.client.get(elsewhere)).status_code == 404


async def test_a_handler_writes_a_state(workbench: WorkbenchStandIn, noter: CalledService) -> None:
    await noter.say("bread")
    await eventually(workbench.state_events)
    state = (await noter.client.get(f"{noter.seat}/states/notes")).json()
    assert state["data"] == {"text": "bread"}


async def test_a_restart_forgets_nothing_that_has_a_folder(
    workbench: WorkbenchStandIn, author: Author, tmp_path: Path
) -> None:
    port = ReservedPort()
    settings = Settings(workbench_url=workbench.url, url=port.url, data_folder=tmp_path / "kept")
    async with called(create_app(author.service, settings), port) as before:
        await before.sit_down()
        assert (await before.client.put(f"{before.path}/config", json={"config": {"words": 9}})).is_success
        assert (await before.client.put(f"{before.seat}/states/notes", json={"data": {"text": "kept"}})).is_success
    async with called(create_app(author.service, settings), port) as after:
        config = (await after.client.get(f"{before.path}/config")).json()["config"]
        state = (await after.client.get(f"{before.seat}/states/notes")).json()["data"]
        assert (config["words"], state) == (9, {"text": "kept"})
        assert (await after.client.post(f"{before.seat}/events", json=before.joined("ada"))).status_code == 204
        assert (await after.client.delete(before.path)).status_code == 204
    async with called(create_app(author.service, settings), port) as last:
        assert (await last.client.get(f"{before.path}/config")).status_code == 404
    port.release()


async def test_what_an_older_program_kept_gives_way_to_the_defaults(
    workbench: WorkbenchStandIn, author: Author, tmp_path: Path
) -> None:
    assistant_id = uuid4()
    old = {"id": str(assistant_id), "name": "Old", "template_id": "default", "config": {"words": "three"}}
    (tmp_path / f"{assistant_id}.json").write_bytes(msgspec.json.encode(old))
    port = ReservedPort()
    settings = Settings(workbench_url=workbench.url, url=port.url, data_folder=tmp_path)
    async with called(create_app(author.service, settings), port) as noter:
        config = (await noter.client.get(f"/{assistant_id}/config")).json()
    assert config["config"]["words"] == 3
    assert config["errors"] == ["Expected `int`, got `str` - at `$.words`"]
    port.release()


async def test_a_file_that_cannot_be_read_stops_the_start(
    workbench: WorkbenchStandIn, author: Author, tmp_path: Path
) -> None:
    (tmp_path / "broken.json").write_text("{", encoding="utf-8")
    settings = Settings(workbench_url=workbench.url, url="http://any", data_folder=tmp_path)
    with pytest.raises(RuntimeError):
        async with called(create_app(author.service, settings), ReservedPort()):
            pass


async def test_takes_an_export_back_in(workbench: WorkbenchStandIn, author: Author, noter: CalledService) -> None:
    @author.service.export_assistant
    async def give(context: AssistantContext) -> bytes:
        return context.assistant_name.encode()

    @author.service.import_assistant
    async def take(_: AssistantContext, data: bytes) -> None:
        author.imported.append(data)

    @author.service.export_conversation
    async def give_talk(context: Context) -> bytes:
        return context.title.encode()

    @author.service.import_conversation
    async def take_talk(context: Context, data: bytes) -> None:
        author.imported.append(data + context.read(NOTES).text.encode())

    await noter.client.put(f"{noter.path}/config", json={"config": {"words": 7}})
    await noter.client.put(f"{noter.seat}/states/notes", json={"data": {"text": "milk"}})
    exported = await noter.client.get(f"{noter.path}/export-data")
    assert exported.headers["content-type"] == "application/octet-stream"
    talk = (await noter.client.get(f"{noter.seat}/export-data")).content

    copy = CalledService(noter.client)
    form = {"assistant": '{"assistant_name": "Copy", "template_id": "default"}'}
    archive = {"from_export": ("assistant_data.bin", exported.content, "application/octet-stream")}
    assert (await noter.client.put(copy.path, data=form, files=archive)).status_code == 204
    form = {"conversation": '{"id": "any", "title": "Copied"}'}
    archive = {"from_export": ("conversation_data.bin", talk, "application/octet-stream")}
    assert (await noter.client.put(copy.seat, data=form, files=archive)).status_code == 204
    assert (await noter.client.get(f"{copy.path}/config")).json()["config"]["words"] == 7
    assert (await noter.client.get(f"{copy.seat}/states/notes")).json()["data"] == {"text": "milk"}
    assert author.imported == [b"Echo", b"Anymilk"]


def zipped(**files: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in files.items():
            file.writestr(name.replace("_", "."), content)
    return packed.getvalue()


@pytest.mark.parametrize(
    "archive",
    [
        b"no zip",
        zipped(other=b""),
        zipped(sdk_json=b"[]"),
        zipped(sdk_json=b'{"words": "many"}'),
        zipped(sdk_json=b"{}", data=bytes(65 * 1024 * 1024)),
    ],
    ids=["no zip", "foreign", "no object", "misfit", "too large"],
)
async def test_refuses_an_archive_that_is_none_of_its_own(noter: CalledService, archive: bytes) -> None:
    form = {"assistant": '{"assistant_name": "Copy", "template_id": "default"}'}
    path = f"/{uuid4()}"
    refused = await noter.client.put(path, data=form, files={"from_export": ("assistant_data.bin", archive)})
    assert refused.status_code == 400
    assert refused.json()["detail"]
    assert (await noter.client.get(f"{path}/config")).status_code == 404


async def test_an_author_may_refuse_what_is_brought(author: Author, noter: CalledService) -> None:
    @author.service.import_conversation
    async def refuse(_: Context, data: bytes) -> None:
        raise ClashError("not now")

    form = {"conversation": '{"id": "any", "title": "Any"}'}
    archive = zipped(sdk_json=b"{}", data=b"something")
    seat = f"{noter.path}/conversations/{uuid4()}"
    refused = await noter.client.put(seat, data=form, files={"from_export": ("conversation_data.bin", archive)})
    assert (refused.status_code, refused.json()) == (409, {"detail": "not now"})
    assert (await noter.client.get(f"{seat}/states")).status_code == 404


async def test_refuses_a_template_that_it_does_not_have(noter: CalledService) -> None:
    form = {"assistant": '{"assistant_name": "Copy", "template_id": "other"}'}
    refused = await noter.client.put(f"/{uuid4()}", data=form)
    assert (refused.status_code, refused.json()["detail"]) == (400, "unknown template other")


async def test_a_key_that_nobody_agreed_on_is_refused(workbench: WorkbenchStandIn, author: Author) -> None:
    async with seated(author.service, workbench) as noter:
        answer = await noter.client.get(f"{noter.path}/config", headers={"X-API-Key": "something"})
    assert (answer.status_code, answer.json()["detail"]) == (401, "Invalid credentials")


async def test_hears_those_whom_it_wants_to_hear(author: Author, noter: CalledService) -> None:
    await noter.say("by itself", role="assistant", sender=str(noter.assistant_id), message_type="note")
    await noter.say("by another", role="assistant", sender="other", message_type="note")
    await noter.say("by a person", message_type="note")
    await noter.say("by another", role="assistant", sender="other")
    await noter.say("by a person")
    await eventually(lambda: len(author.seen) == 2)
    assert author.seen == ["by another", "by a person"]


async def test_a_failure_is_logged_with_its_correlation_id_and_the_next_event_is_handled(
    author: Author, noter: CalledService, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, logger="workbench.sdk"):
        event = await noter.say("fail")
        await noter.say("go on")
        await eventually(lambda: author.seen == ["go on"])
    (record,) = caplog.records
    assert f"message.created {event['id']} failed (correlation id c0ffee)" in record.message
    assert record.exc_info is not None


async def test_more_events_than_may_wait_are_to_come_again(workbench: WorkbenchStandIn, author: Author) -> None:
    author.may_go_on.clear()
    async with seated(author.service, workbench, waiting_events=2) as noter:
        answers = [await noter.tell(noter.event("message.created", said(str(number)))) for number in range(5)]
        refused = [number for number, answer in enumerate(answers) if answer.status_code == 503]
        assert refused[0] in {2, 3}
        author.may_go_on.set()
        await eventually(lambda: len(author.seen) == 5 - len(refused))


def said(content: str) -> dict[str, Any]:
    sender = {"participant_role": "user", "participant_id": "ada"}
    message = {
        "id": str(uuid4()),
        "sender": sender,
        "message_type": "chat",
        "timestamp": "2026-01-02T03:04:05Z",
        "content": content,
    }
    return {"message": message}


async def test_an_orderly_stop_finishes_what_waits(workbench: WorkbenchStandIn, author: Author) -> None:
    author.may_go_on.clear()
    async with seated(author.service, workbench) as noter:
        for content in ("one", "two"):
            await noter.say(content)
        author.may_go_on.set()
    assert author.seen == ["one", "two"]


async def test_a_stop_does_not_wait_for_ever(workbench: WorkbenchStandIn, author: Author) -> None:
    author.may_go_on.clear()
    async with seated(author.service, workbench, drain_seconds=0.05) as noter:
        await noter.say("never")
    assert author.seen == []


async def test_follows_the_title_of_a_conversation(author: Author, noter: CalledService) -> None:
    conversation = conversation_json(noter.conversation_id, title="Renamed")
    await noter.tell(noter.event("conversation.updated", {"conversation": conversation}))
    await noter.tell(noter.event("message.deleted", said("gone")))
    await eventually(lambda: len(author.seen) == 2)
    assert author.seen == ["conversation.updated in Renamed", "message.deleted in Renamed"]
    form = {"conversation": '{"id": "any", "title": "Again"}'}
    assert (await noter.client.put(noter.seat, data=form)).status_code == 204
    await noter.tell(noter.event("message.deleted", said("gone")))
    await eventually(lambda: author.seen[2:] == ["message.deleted in Again"])


async def test_a_model_without_defaults_is_refused_at_once() -> None:
    class Demanding(msgspec.Struct):
        name: str

    with pytest.raises(TypeError, match="name"):
        Template(id="default", name="Any", description="Any.", config=Demanding)
    with pytest.raises(TypeError, match="name"):
        State(id="any", display_name="Any", description="Any.", model=Demanding)
