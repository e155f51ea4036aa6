"""How topics and their messages are called in RabbitMQ."""

from typing import Any

import aio_pika
from aio_pika.abc import AbstractIncomingMessage

from workbench.adapters.bus.rabbit_link import RabbitTimes
from workbench.domain.bus.model import DEAD_TOPIC, MAX_DELIVERIES, Header, Message, TopicName

REQUESTS_KEPT_SECONDS = 1800
REPLIES_KEPT_SECONDS = 300


def exchange_of(topic: str) -> str:
    """The fanout exchange of a topic."""
    name = TopicName.parse(topic)
    return f"{name.space}.{name.topic_class}.{name.name}"


def arguments_of(topic: str, times: RabbitTimes) -> dict[str, Any]:
    """What the queue of a subscription is like: by the class of its topic."""
    topic_class = TopicName.parse(topic).topic_class
    refusing = {"x-max-length": times.queue_length, "x-overflow": "reject-publish"}
    if topic == DEAD_TOPIC:
        return {"x-queue-type": "quorum", "x-max-length": times.queue_length}
    if topic_class == "flow":
        # A limit of n gives n + 1 deliveries.
        limit = {"x-delivery-limit": MAX_DELIVERIES - 1, "x-dead-letter-exchange": exchange_of(DEAD_TOPIC)}
        return {"x-queue-type": "quorum", **limit, **refusing}
    if topic_class == "request":
        return {"x-expires": REQUESTS_KEPT_SECONDS * 1000, **refusing}
    return {"x-expires": REPLIES_KEPT_SECONDS * 1000, "x-max-length": times.replies_length}


def outgoing(topic: str, message: Message) -> aio_pika.Message:
    """A message as RabbitMQ has it. The id goes twice: some services look for it in one place, some in the other."""
    headers: dict[str, Any] = dict(message.headers)
    if message.request_id is not None:
        headers["id"] = message.request_id
    is_kept = TopicName.parse(topic).topic_class == "flow"
    return aio_pika.Message(
        message.body,
        headers=headers,
        content_type="application/json",
        correlation_id=message.request_id,
        expiration=message.ttl_seconds,
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT if is_kept else aio_pika.DeliveryMode.NOT_PERSISTENT,
    )


def incoming(message: AbstractIncomingMessage) -> Message:
    """The same, read."""
    headers: dict[str, Header] = {
        name: value for name, value in message.headers.items() if isinstance(value, str | int | bool)
    }
    own = headers.pop("id", None)
    request_id = own if isinstance(own, str) else message.correlation_id
    return Message(body=message.body, request_id=request_id, headers=headers)


def attempt_of(message: AbstractIncomingMessage) -> int:
    """The how manieth time it comes: quorum queues count, others only know whether it is the first."""
    counted = message.headers.get("x-delivery-count")
    if isinstance(counted, int):
        return counted + 1
    return 2 if message.redelivered else 1
