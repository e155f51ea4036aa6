"""The checker finds each kind of damage in a log that was broken on purpose, and nothing in one that is whole."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.faults.checker import check
from tests.faults.records import Inbox, LoggedEvent, Post, Records, StoredMessage, Stream, Turn

WORDS = [f"word{number}" for number in range(5)]


def whole() -> Records:
    """A round in which nothing went wrong, though much was repeated."""
    posts = [Post("c", "ann" if number % 2 else "bob", f"m{number}", acknowledged=True) for number in range(8)]
    posts.append(Post("c", "ann", "never answered, never stored"))
    messages = [StoredMessage("c", number + 1, f"m{number}") for number in range(8)]
    events = [LoggedEvent("c", 1, 11, "e0", "conversation.created")]
    events += [LoggedEvent("c", n + 2, n + 12, f"e{n + 1}", "message.created", f"m{n}") for n in range(8)]
    events.append(LoggedEvent("c", 10, 20, "e9", "turn.opened", for_assistants=False, for_feeds=False))
    seen = [(event.position, event.content) for event in events]
    feed = [(event.feed_position, event.content) for event in events[:-1]]
    ids = [event.id for event in events if event.for_assistants]
    logged = [(1, None), *[(number + 2, word) for number, word in enumerate(WORDS)]]
    turn = Turn("turn", list(WORDS), list(WORDS), True, list(logged), list(logged), ["".join(WORDS)])
    return Records(
        posts,
        messages,
        events,
        [Stream("one", "c", 0, seen), Stream("late", "c", 4, seen[4:]), Stream("feed", None, 10, feed)],
        [Inbox("robot", "c", 0, [*ids[:5], *ids[2:]])],
        [turn],
    )


def test_nothing_is_found_where_all_is_well() -> None:
    assert check(whole()) == []


def swap(items: list[object], at: int) -> None:
    items[at], items[at + 1] = items[at + 1], items[at]


def lose_a_message(records: Records) -> None:
    del records.messages[-1]


def lose_a_message_with_its_event(records: Records) -> None:
    records.messages.pop()
    records.events = [event for event in records.events if event.content != "m7"]


def store_a_message_twice(records: Records) -> None:
    records.messages.append(replace(records.messages[3], sequence=9))


def store_what_nobody_sent(records: Records) -> None:
    records.messages.append(StoredMessage("c", 9, "from nowhere"))


def swap_stored_messages(records: Records) -> None:
    records.messages[0] = replace(records.messages[0], sequence=3)
    records.messages[2] = replace(records.messages[2], sequence=1)


def leave_a_position_out(records: Records) -> None:
    records.events[-1] = replace(records.events[-1], position=11)


def swap_the_workspaces_log(records: Records) -> None:
    records.events[4] = replace(records.events[4], feed_position=16)
    records.events[5] = replace(records.events[5], feed_position=15)


def log_an_event_twice(records: Records) -> None:
    records.events[5] = replace(records.events[5], id="e4")


def swap_events_and_not_messages(records: Records) -> None:
    records.events[4] = replace(records.events[4], content="m4")
    records.events[5] = replace(records.events[5], content="m3")


def miss_an_event_on_a_stream(records: Records) -> None:
    del records.streams[0].seen[4]


def repeat_an_event_on_a_stream(records: Records) -> None:
    records.streams[1].seen.insert(3, records.streams[1].seen[2])


def swap_events_on_a_stream(records: Records) -> None:
    swap(records.streams[2].seen, 3)  # type: ignore[arg-type]


def change_what_a_stream_says(records: Records) -> None:
    records.streams[0].seen[3] = (records.streams[0].seen[3][0], "something else")


def put_a_strangers_event_on_a_feed(records: Records) -> None:
    records.streams[2].seen.append((99, "not ours"))


def miss_the_last_event_at_an_assistant(records: Records) -> None:
    records.inboxes[0].taken = [key for key in records.inboxes[0].taken if key != "e8"]


def skip_an_event_and_bring_it_later(records: Records) -> None:
    taken = ["e0", "e2", "e1", *[f"e{number}" for number in range(3, 9)]]
    records.inboxes[0].taken = taken


def bring_an_assistant_what_is_not_for_it(records: Records) -> None:
    records.inboxes[0].taken.append("e9")


def lose_a_batch(records: Records) -> None:
    turn = records.turns[0]
    turn.logged, turn.watched, turn.answers = turn.logged[:-1], turn.watched[:-1], ["".join(WORDS[:-1])]


def log_a_batch_twice(records: Records) -> None:
    turn = records.turns[0]
    turn.logged.append((7, WORDS[4]))
    turn.watched.append((7, WORDS[4]))


def leave_a_place_out_of_a_turns_log(records: Records) -> None:
    turn = records.turns[0]
    turn.logged[-1] = (7, WORDS[4])
    turn.watched = list(turn.logged)


def repeat_a_word_to_a_watcher(records: Records) -> None:
    records.turns[0].watched.append(records.turns[0].watched[2])


def swap_batches(records: Records) -> None:
    turn = records.turns[0]
    turn.logged[2:4] = [(3, WORDS[2]), (4, WORDS[1])]
    turn.watched = list(turn.logged)
    turn.answers = ["".join(delta or "" for _, delta in turn.logged)]


def store_an_answer_twice(records: Records) -> None:
    records.turns[0].answers *= 2


def store_half_an_answer(records: Records) -> None:
    records.turns[0].answers = ["".join(WORDS[:2])]


def hide_a_word_from_a_watcher(records: Records) -> None:
    del records.turns[0].watched[3]


DAMAGES: list[tuple[Callable[[Records], None], str]] = [
    (lose_a_message, "lost"),
    (lose_a_message_with_its_event, "lost"),
    (store_a_message_twice, "twice"),
    (store_what_nobody_sent, "foreign"),
    (swap_stored_messages, "order"),
    (leave_a_position_out, "gap"),
    (swap_the_workspaces_log, "order"),
    (log_an_event_twice, "twice"),
    (swap_events_and_not_messages, "log"),
    (miss_an_event_on_a_stream, "missed"),
    (repeat_an_event_on_a_stream, "twice"),
    (swap_events_on_a_stream, "order"),
    (change_what_a_stream_says, "foreign"),
    (put_a_strangers_event_on_a_feed, "foreign"),
    (miss_the_last_event_at_an_assistant, "missed"),
    (skip_an_event_and_bring_it_later, "order"),
    (bring_an_assistant_what_is_not_for_it, "foreign"),
    (lose_a_batch, "lost"),
    (log_a_batch_twice, "twice"),
    (leave_a_place_out_of_a_turns_log, "gap"),
    (repeat_a_word_to_a_watcher, "twice"),
    (swap_batches, "order"),
    (store_an_answer_twice, "answer"),
    (store_half_an_answer, "answer"),
    (hide_a_word_from_a_watcher, "missed"),
]


@pytest.mark.parametrize(("damage", "rule"), DAMAGES, ids=[damage.__name__ for damage, _ in DAMAGES])
def test_damage_is_found(damage: Callable[[Records], None], rule: str) -> None:
    records = whole()
    damage(records)
    assert rule in {finding.rule for finding in check(records)}
