"""One round's own people, conversations, streams, turn and assistant, and what is known of them at its end."""

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncGenerator, Coroutine, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select
from tests.faults.checker import check
from tests.faults.cluster import Cluster
from tests.faults.load import Follower, Poster, Producer, TurnWatcher, until
from tests.faults.outside import Outside
from tests.faults.records import Finding, Inbox, LoggedEvent, Post, Records, StoredMessage, Stream, Turn
from tests.support.assistants import RecordingAssistantService
from tests.support.databases import Store, open_store

from workbench.adapters.sql.tables import events, messages
from workbench.adapters.sql.turn_tables import turn_events, turns
from workbench.domain.events.model import ASSISTANT_TYPES, FEED_TYPES
from workbench.wiring.local_tokens import sign_local_token
from workbench.wiring.settings import Settings

TURN = "t1"
QUESTION = "what do you say to all this?"
POSTERS = 4
SLOW_BUFFER_BYTES = 64 << 10
OPENING_SECONDS = 60.0
CATCH_UP_SECONDS = 60.0
LOOK_SECONDS = 0.25


class World:
    """Made for one round by `opened`."""

    def __init__(self, cluster: Cluster, recorder: RecordingAssistantService, user: str, chance: random.Random) -> None:
        self.cluster = cluster
        self.recorder = recorder
        self.chance = chance
        self.unexpected: list[str] = []
        self.slow: Follower | None = None
        self._user = user
        self._callers: list[Outside] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._ending: list[asyncio.Task[None]] = []
        self._posters: list[Poster] = []
        self._streams: list[Stream] = []
        self._turn: Turn | None = None
        self._producer: Producer | None = None
        self._assistant = ""
        self._conversations: list[str] = []

    @property
    def acknowledged(self) -> int:
        """How many messages were acknowledged so far."""
        return sum(post.acknowledged for poster in self._posters for post in poster.posts)

    @property
    def seen(self) -> int:
        """How many events came over streams so far."""
        return sum(len(stream.seen) for stream in self._streams)

    def caller(self, number: int, *, buffer_bytes: int = 0, **headers: str) -> Outside:
        """Somebody who asks that replica first: the round's user, unless headers say otherwise."""
        settings = Settings.of(data_root=self.cluster.folder / "data")
        token = sign_local_token(settings, user_id=self._user, name="Ann", workspace="default", ttl_seconds=86_400)
        given = headers or {"Authorization": f"Bearer {token}"}
        caller = Outside(self.cluster.urls, given, number, self.unexpected, buffer_bytes=buffer_bytes)
        self._callers.append(caller)
        return caller

    async def open(self, message_bytes: int, *, has_turn: bool) -> None:
        """Set the scene, then let everybody begin."""
        async with asyncio.timeout(OPENING_SECONDS):
            ann = self.caller(0)
            await self._announce()
            new = {"assistant_service_id": self.recorder.service_id, "name": "Robot"}
            self._assistant = (await ann.insist("POST", "/assistants", json=new))["id"]
            for _ in range(2):
                made = (await ann.insist("POST", "/conversations", json={}))["id"]
                await ann.insist("PUT", f"/conversations/{made}/participants/{self._assistant}", json={})
                self._conversations.append(made)
            if has_turn:
                asked = {"turn_id": TURN, "assistant_id": self._assistant, "input": {"content": QUESTION}}
                await ann.insist("POST", f"/conversations/{self._conversations[1]}/turns", json=asked)
        self._follow()
        self._post(message_bytes)
        if has_turn:
            self._produce()

    def _follow(self) -> None:
        for number, conversation in enumerate([*self._conversations, *self._conversations]):
            stream = Stream(f"stream {number}", conversation)
            self._begin(stream, f"/conversations/{conversation}/events?include=turns", number)
        self._begin(Stream("feed", None), "/events", 1)

    def _begin(self, stream: Stream, path: str, first: int) -> None:
        follower = Follower(self.caller(first, buffer_bytes=0 if self.slow else SLOW_BUFFER_BYTES), path, stream)
        self.slow = self.slow or follower
        self._streams.append(stream)
        self._run(follower.run())

    def _post(self, message_bytes: int) -> None:
        for number in range(POSTERS):
            conversation = self._conversations[number % 2]
            repeats = number % 4 < 2
            poster = Poster(self.caller(number), conversation, f"p{number}", repeats=repeats, size=message_bytes)
            self._posters.append(poster)
            self._ending.append(self._run(poster.run()))

    def _produce(self) -> None:
        path = f"/conversations/{self._conversations[1]}/turns/{TURN}"
        service = {"X-Assistant-Service-ID": self.recorder.service_id, "X-API-Key": ""}
        robot = self.caller(0, **service, **{"X-Assistant-ID": self._assistant})
        self._turn = Turn("turn")
        self._producer = Producer(robot, path, self._turn)
        self._ending.append(self._run(self._producer.run()))
        self._ending.append(self._run(TurnWatcher(self.caller(1), path, self._turn).run()))

    def _run(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.append(task)
        return task

    async def _announce(self) -> None:
        """Let one of the replicas hear of the assistant service; its word lasts for the round."""
        for url in self.cluster.urls * 20:
            with contextlib.suppress(Exception):
                if (await self.recorder.announce(url, expires_seconds=86_400)).is_success:
                    return
            await asyncio.sleep(0.1)
        raise TimeoutError("nobody heard the assistant service")

    async def reads(self) -> None:
        """Read something. Raises TimeoutError where that cannot be done."""
        path = f"/conversations/{self._conversations[0]}/messages"
        if await self.caller(0).try_once("GET", path) is None:
            raise TimeoutError("nothing can be read")

    async def goes_on(self, messages_more: int, timeout_seconds: float = 60.0) -> bool:
        """Wait until so many more messages were acknowledged; whether they were."""
        enough = self.acknowledged + messages_more
        return await until(lambda: self.acknowledged >= enough, timeout_seconds)

    async def findings(self) -> list[Finding]:
        """Let everybody come to an end, and compare once all have had the time to catch up."""
        for poster in self._posters:
            poster.is_ending = True
        if self._producer is not None:
            self._producer.is_ending = True
        done, pending = await asyncio.wait(self._ending, timeout=CATCH_UP_SECONDS)
        stuck = [Finding("stuck", "a client got no answer any more")] if pending else []
        broken = [Finding("broken", repr(task.exception())) for task in done if task.exception()]
        found = await self._caught_up()
        return [*stuck, *broken, *found, *(Finding("answer", text) for text in self.unexpected)]

    async def _caught_up(self) -> list[Finding]:
        end = asyncio.get_running_loop().time() + CATCH_UP_SECONDS
        async with open_store(self.cluster.database_url) as store:
            while True:
                found = check(await self._records(store))
                late = asyncio.get_running_loop().time() > end
                # What has not come yet may still come; everything else stays wrong.
                if late or not any(finding.rule == "missed" for finding in found):
                    return found
                await asyncio.sleep(LOOK_SECONDS)

    async def _records(self, store: Store) -> Records:
        ids = [UUID(conversation) for conversation in self._conversations]
        wanted = select(events).where(events.c.conversation_id.in_(ids))
        logged = [_logged(row) for row in await store.database.rows(wanted)]
        of_messages = select(messages.c.conversation_id, messages.c.sequence, messages.c.content)
        rows = await store.database.rows(of_messages.where(messages.c.conversation_id.in_(ids)))
        stored = [StoredMessage(str(row[0]), row[1], row[2]) for row in rows]
        posts = [post for poster in self._posters for post in poster.posts]
        answered = [self._turn] if self._turn is not None else []
        for turn in answered:
            await _look_at_turn(turn, store, ids[1])
            posts.append(Post(self._conversations[1], "asker", QUESTION, acknowledged=True))
            posts += [Post(self._conversations[1], "robot", answer) for answer in turn.answers]
        inboxes = [self._inbox(number, conversation, logged) for number, conversation in enumerate(self._conversations)]
        return Records(posts, stored, logged, self._streams, inboxes, answered)

    def _inbox(self, number: int, conversation: str, logged: list[LoggedEvent]) -> Inbox:
        """It hears everything from its own arrival on."""
        of_it = [event for event in logged if event.conversation == conversation]
        arrival = min(event.position for event in of_it if event.type == "participant.created")
        taken = self.recorder.events(self._assistant, conversation, accepted=True)
        return Inbox(f"assistant in {number}", conversation, arrival - 1, [event["id"] for event in taken])

    async def close(self) -> None:
        """Let everybody go."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for caller in self._callers:
            await caller.close()


async def _look_at_turn(turn: Turn, store: Store, conversation_id: UUID) -> None:
    this = select(turns.c.pk, turns.c.output_message_id).where(turns.c.conversation_id == conversation_id)
    pk, answer_id = (await store.database.rows(this))[0]
    log = select(turn_events.c.seq, turn_events.c.type, turn_events.c.data).where(turn_events.c.turn_pk == pk)
    rows = await store.database.rows(log.order_by(turn_events.c.seq))
    turn.logged = [(row[0], json.loads(row[2])["delta"] if row[1] == "text.delta" else None) for row in rows]
    answers = await store.database.rows(select(messages.c.content).where(messages.c.id == answer_id))
    turn.answers = [row[0] for row in answers]


def _logged(row: Sequence[Any]) -> LoggedEvent:
    found = dict(zip(events.columns.keys(), row, strict=True))
    data = json.loads(found["data"])
    return LoggedEvent(
        conversation=str(found["conversation_id"]),
        position=found["position"],
        feed_position=found["feed_position"],
        id=found["id"],
        type=found["type"],
        content=data["message"]["content"] if "message" in data else None,
        for_assistants=found["audience"] == "everyone" and found["type"] in ASSISTANT_TYPES,
        for_feeds=found["type"] in FEED_TYPES,
    )


@contextlib.asynccontextmanager
async def opened(
    cluster: Cluster,
    recorder: RecordingAssistantService,
    user: str,
    chance: random.Random,
    message_bytes: int = 0,
    *,
    has_turn: bool = True,
) -> AsyncGenerator[World]:
    """Open a world, and close it at the end of the block."""
    world = World(cluster, recorder, user, chance)
    try:
        await world.open(message_bytes, has_turn=has_turn)
        yield world
    finally:
        await world.close()
