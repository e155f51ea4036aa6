"""Topics, and the messages that travel on them."""

import re
from collections.abc import Mapping
from typing import Literal, cast, get_args

import msgspec

TopicClass = Literal["flow", "request", "response", "notify"]
BusState = Literal["up", "reconnecting", "blocked", "closed"]
Kind = Literal["request", "part", "final", "error", "keepalive", "cancel"]

CONTROL_TOPIC = "notify:wb:control"
"""Where every host hears of requests that nobody waits for any more."""
REPLICAS_TOPIC = "notify:wb:replicas"
"""Where replicas of the service ask each other what is under way."""
DEAD_TOPIC = "flow:wb:dead"
"""Where work ends that was delivered MAX_DELIVERIES times in vain."""
OWN_TOPICS = frozenset({CONTROL_TOPIC, REPLICAS_TOPIC, DEAD_TOPIC})
MAX_DELIVERIES = 5
MAX_TOPIC_BYTES = 170
"""Names in AMQP end at 255 bytes, and those of queues are longer than their topic's."""

_SPACE = re.compile(r"[a-z0-9-]{1,32}")
_SEGMENT = re.compile(r"[A-Za-z0-9._~-]+")

Header = str | int | bool


class TopicName(msgspec.Struct, frozen=True):
    """A topic: `class:space:name`, where the name may have further colons."""

    topic_class: TopicClass
    space: str
    name: str

    def __str__(self) -> str:
        return f"{self.topic_class}:{self.space}:{self.name}"

    @property
    def is_shared(self) -> bool:
        """Whether the readers of a subscription share its messages, instead of each having its own subscription."""
        return self.topic_class in ("flow", "request")

    @classmethod
    def parse(cls, text: str) -> "TopicName":
        """Read a name; a bare word is of class flow in the space wb. Raises ValueError, which says what is wrong."""
        if ":" not in text:
            text = f"flow:wb:{text}"
        topic_class, _, rest = text.partition(":")
        space, _, name = rest.partition(":")
        if not name:
            raise ValueError("a topic is class:space:name, or one word")
        if topic_class not in get_args(TopicClass):
            raise ValueError(f"there is no class of topics called {topic_class!r}")
        if not _SPACE.fullmatch(space):
            raise ValueError("the space of a topic is up to 32 lower-case letters, digits and hyphens")
        if not all(_SEGMENT.fullmatch(segment) for segment in name.split(":")):
            raise ValueError("the segments of a topic's name are letters, digits and . _ ~ -, and none is empty")
        if len(text.encode()) > MAX_TOPIC_BYTES:
            raise ValueError(f"a topic has at most {MAX_TOPIC_BYTES} bytes")
        return cls(cast("TopicClass", topic_class), space, name)


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What is published: its body in bytes of JSON, the request that it belongs to, and what can be read unopened.

    `ttl_seconds` is how long it is worth being delivered, from when the bus has it.
    """

    body: bytes = b""
    request_id: str | None = None
    headers: Mapping[str, Header] = {}
    ttl_seconds: float | None = None

    @property
    def kind(self) -> str | None:
        """What it is, where its sender said so."""
        kind = self.headers.get("wb-kind")
        return kind if isinstance(kind, str) else None

    def text(self, name: str) -> str | None:
        """A header that is a text."""
        value = self.headers.get(name)
        return value if isinstance(value, str) else None

    def number(self, name: str) -> int | None:
        """A header that is a whole number."""
        value = self.headers.get(name)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def is_set(self, name: str) -> bool:
        """Whether a header is true."""
        return self.headers.get(name) is True
