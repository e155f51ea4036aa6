"""Compares what was acknowledged with the database, with every stream and with every assistant."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

from tests.faults.records import Finding, Inbox, LoggedEvent, Records, Stream, Turn

SHOWN = 5
MESSAGE = "message.created"


def check(records: Records) -> list[Finding]:
    """Everything that is wrong."""
    found = [*_storage(records), *_log(records)]
    for stream in records.streams:
        found += _stream(stream, records.events)
    for inbox in records.inboxes:
        found += _inbox(inbox, records.events)
    for turn in records.turns:
        found += _turn(turn)
    return found


def _storage(records: Records) -> Iterator[Finding]:
    """What was acknowledged is stored, nothing is stored twice, and everybody's messages are in the order of sending."""
    places = {(message.conversation, message.content): message.sequence for message in records.messages}
    sent = {(post.conversation, post.content) for post in records.posts}
    acknowledged = [(post.conversation, post.content) for post in records.posts if post.acknowledged]
    yield from _listed("lost", "acknowledged, and not stored", [key for key in acknowledged if key not in places])
    counts = Counter((message.conversation, message.content) for message in records.messages)
    yield from _listed("twice", "stored more than once", [key for key, count in counts.items() if count > 1])
    yield from _listed("foreign", "stored, and never sent", [key for key in places if key not in sent])
    for who in sorted({(post.conversation, post.who) for post in records.posts}):
        theirs = [post for post in records.posts if (post.conversation, post.who) == who]
        order = [
            places[post.conversation, post.content] for post in theirs if (post.conversation, post.content) in places
        ]
        if order != sorted(order):
            yield Finding("order", f"what {who[1]} sent one after the other is stored in another order: {order[:20]}")


def _log(records: Records) -> Iterator[Finding]:
    """Positions have no gaps, and each message has one event, in the same order."""
    ids = Counter(event.id for event in records.events)
    yield from _listed("twice", "events with the same id", [key for key, count in ids.items() if count > 1])
    for conversation in sorted({event.conversation for event in records.events}):
        log = _of(records.events, conversation)
        if [event.position for event in log] != list(range(1, len(log) + 1)):
            yield Finding("gap", f"positions of {conversation}: {[event.position for event in log][:20]}")
        if [event.feed_position for event in log] != sorted({event.feed_position for event in log}):
            yield Finding("order", f"the workspace's log has another order than {conversation}")
        told = [event.content for event in log if event.type == MESSAGE]
        stored = [message for message in records.messages if message.conversation == conversation]
        contents = [message.content for message in sorted(stored, key=lambda message: message.sequence)]
        if told != contents:
            yield Finding(
                "log", f"{conversation}: {len(contents)} messages, {len(told)} events: {_differing(contents, told)}"
            )


def _stream(stream: Stream, events: Sequence[LoggedEvent]) -> Iterator[Finding]:
    """A stream carries each event behind its beginning once, in order, and nothing else."""
    if stream.conversation is None:
        log = sorted((event for event in events if event.for_feeds), key=lambda event: event.feed_position)
        wanted = {event.feed_position: event.content for event in log if event.feed_position > stream.begins}
    else:
        log = _of(events, stream.conversation)
        wanted = {event.position: event.content for event in log if event.position > stream.begins}
    yield from _sequence(stream.name, stream.seen, wanted)


def _sequence(name: str, seen: Sequence[tuple[int, str | None]], wanted: dict[int, str | None]) -> Iterator[Finding]:
    places = [place for place, _ in seen]
    counts = Counter(places)
    yield from _listed("twice", f"{name}: came more than once", [place for place, count in counts.items() if count > 1])
    yield from _listed("missed", f"{name}: never came", [place for place in wanted if place not in counts])
    yield from _listed("foreign", f"{name}: is not in the log", [place for place in counts if place not in wanted])
    if places != sorted(places):
        swapped = [(one, other) for one, other in pairwise(places) if one > other]
        yield from _listed("order", f"{name}: came in the wrong order", swapped)
    other = [place for place, content in seen if place in wanted and wanted[place] != content]
    yield from _listed("foreign", f"{name}: says something else than the log", other)


def _inbox(inbox: Inbox, events: Sequence[LoggedEvent]) -> Iterator[Finding]:
    """An assistant takes each event at least once; the first time in order, and again only from where it was."""
    log = [event for event in _of(events, inbox.conversation) if event.for_assistants and event.position > inbox.begins]
    places = {event.id: number for number, event in enumerate(log)}
    taken = set(inbox.taken)
    yield from _listed(
        "missed", f"{inbox.name}: never got", [f"{e.position} {e.type}" for e in log if e.id not in taken]
    )
    yield from _listed("foreign", f"{inbox.name}: got what it should not", [key for key in taken if key not in places])
    next_place = 0
    for key in inbox.taken:
        place = places.get(key, -1)
        if place > next_place:
            yield Finding("order", f"{inbox.name}: got {place} where {next_place} was the next")
            return
        next_place = max(next_place, place + 1)


def _turn(turn: Turn) -> Iterator[Finding]:
    """Each acknowledged batch is in the log once and in order; an ended turn's answer is stored once and whole."""
    places = [place for place, _ in turn.logged]
    if places != list(range(1, len(places) + 1)):
        yield Finding("gap", f"{turn.name}: places in its log: {places[:20]}")
    said = [delta for _, delta in turn.logged if delta is not None]
    counts = Counter(said)
    yield from _listed(
        "lost", f"{turn.name}: acknowledged, and not logged", [d for d in turn.acknowledged if d not in counts]
    )
    yield from _listed("twice", f"{turn.name}: logged more than once", [d for d, count in counts.items() if count > 1])
    known = set(said)
    if said != [delta for delta in turn.sent if delta in known]:
        yield Finding("order", f"{turn.name}: its log has another order than its producer's")
    yield from _sequence(f"{turn.name}'s watcher", turn.watched, dict(turn.logged))
    if turn.has_ended and turn.answers != ["".join(said)]:
        yield Finding("answer", f"{turn.name}: {len(turn.answers)} answers stored, or not what was said")


def _of(events: Sequence[LoggedEvent], conversation: str) -> list[LoggedEvent]:
    return sorted((event for event in events if event.conversation == conversation), key=lambda event: event.position)


def _differing(one: Sequence[object], other: Sequence[object]) -> str:
    return next((f"{a} against {b}" for a, b in zip(one, other, strict=False) if a != b), "one is longer")


def _listed(rule: str, words: str, items: Sequence[object]) -> Iterator[Finding]:
    if items:
        more = f" and {len(items) - SHOWN} more" if len(items) > SHOWN else ""
        yield Finding(rule, f"{words}: {', '.join(map(str, items[:SHOWN]))}{more}")
