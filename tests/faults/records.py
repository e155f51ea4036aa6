"""What one round left behind: what was said and answered, what is stored, and what each listener got. Plain values."""

from dataclasses import dataclass, field


@dataclass
class Post:
    """A message that somebody sent. Who repeats it under an id of its own must find it stored once all the same."""

    conversation: str
    who: str
    content: str
    acknowledged: bool = False


@dataclass(frozen=True)
class StoredMessage:
    conversation: str
    sequence: int
    content: str


@dataclass(frozen=True)
class LoggedEvent:
    """An event of the log. `content` is the message's where it is about one; not every event is for everybody."""

    conversation: str
    position: int
    feed_position: int
    id: str
    type: str
    content: str | None = None
    for_assistants: bool = True
    for_feeds: bool = True


@dataclass
class Stream:
    """What came over one stream, through all its connections: frame ids, and contents where there were any.

    Without a `conversation` it is a user's stream over all of them, and its places are feed positions.
    """

    name: str
    conversation: str | None
    begins: int = 0
    seen: list[tuple[int, str | None]] = field(default_factory=list)


@dataclass
class Inbox:
    """The events of one conversation that an assistant took, in the order in which it took them."""

    name: str
    conversation: str
    begins: int = 0
    taken: list[str] = field(default_factory=list)


@dataclass
class Turn:
    """A streamed answer: what its producer was told, what its log holds, what a watcher saw, and what was stored."""

    name: str
    acknowledged: list[str] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)
    has_ended: bool = False
    logged: list[tuple[int, str | None]] = field(default_factory=list)
    watched: list[tuple[int, str | None]] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)


@dataclass
class Records:
    """All of it."""

    posts: list[Post] = field(default_factory=list)
    messages: list[StoredMessage] = field(default_factory=list)
    events: list[LoggedEvent] = field(default_factory=list)
    streams: list[Stream] = field(default_factory=list)
    inboxes: list[Inbox] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)


@dataclass(frozen=True)
class Finding:
    """Something that must never be."""

    rule: str
    detail: str
