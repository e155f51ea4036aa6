"""The settings of the message bus and of flows."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, SecretStr, field_validator

from workbench.domain.flows.checking import is_topic
from workbench.wiring.setting_values import Group, list_from_text

SCHEMES = ("inprocess", "amqp", "amqps")
MIN_TOKEN = 32


class Bus(Group):
    """What carries the messages of flows."""

    url: SecretStr = Field(
        default=SecretStr("inprocess://"),
        description="The message bus. `inprocess://` is one inside each process, which needs nothing and keeps nothing.",
        examples=["inprocess://", "amqp://user:password@host/vhost", "amqps://user:password@host/vhost"],
    )
    heartbeat_seconds: int = Field(
        default=60, ge=2, le=600, description="Seconds between two heartbeats of a connection to RabbitMQ."
    )
    blocked_timeout_seconds: float = Field(
        default=300,
        gt=0,
        le=3600,
        description="Seconds that RabbitMQ may take no messages, for want of memory or disk, before reconnecting.",
    )
    probe_seconds: float = Field(
        default=20,
        gt=0,
        le=600,
        description="Seconds between two looks whether a connection to RabbitMQ still answers: one cut silently does not say so.",
    )

    @field_validator("url")
    @classmethod
    def _is_supported(cls, url: SecretStr) -> SecretStr:
        try:
            parts = urlsplit(url.get_secret_value())
            _ = parts.port
        except ValueError:
            raise ValueError("is no URL") from None
        if parts.scheme not in SCHEMES or not (parts.hostname or parts.scheme == "inprocess"):
            raise ValueError(f"is of another scheme than {', '.join(SCHEMES)}, or names no host")
        return url


class Flows(Group):
    """Services behind the message bus."""

    services: Annotated[tuple[str, ...], BeforeValidator(list_from_text)] = Field(
        default=(),
        description="Services that each server process runs itself: `module:attribute`, a service or a list of them.",
        examples=["workbench.examples.flow_services:services"],
    )
    host_tokens: Annotated[tuple[SecretStr, ...], BeforeValidator(list_from_text)] = Field(
        default=(),
        description=(
            "What hosts of services that are processes of their own show, at least 32 characters each. Several, so that"
            " one can be replaced; `workbench flows host --url` shows the first."
        ),
    )
    timeout_seconds: float = Field(
        default=300, ge=0.1, le=1500, description="Longest time of one request, whatever its interface allows."
    )
    global_topics: Annotated[tuple[str, ...], BeforeValidator(list_from_text)] = Field(
        default=(),
        description="Topics of others that blueprints of workspaces may name, in full.",
        examples=["request:wb:librarian,response:wb:librarian"],
    )
    trust_workspaces: bool | None = Field(
        default=None,
        description=(
            "Let blueprints of workspaces name topics that reach beyond their workspace. Unset: only in local mode, where"
            " all users are trusted with everything."
        ),
    )
    drain_seconds: float = Field(
        default=5, ge=0, le=300, description="Seconds that requests under way have when their flow is stopped."
    )
    per_workspace: int = Field(
        default=200, ge=1, le=100_000, description="Most flows that a workspace may run at once."
    )
    requests_per_workspace: int = Field(
        default=256, ge=1, le=100_000, description="Most requests of a workspace under way at once in each process."
    )
    request_bytes: int = Field(default=1 << 20, ge=1, le=1 << 26, description="Largest body of a request, in bytes.")
    reply_bytes: int = Field(default=1 << 20, ge=1, le=1 << 26, description="Largest single reply, in bytes.")
    answer_bytes: int = Field(
        default=16 << 20, ge=1, le=1 << 30, description="Largest answer with all its parts, in bytes."
    )
    metrics_by_workspace: bool = Field(
        default=False,
        description="Count requests to flows for each workspace by itself, under the label `workspace`: up to 200 of them.",
    )

    @field_validator("global_topics")
    @classmethod
    def _are_topics(cls, topics: tuple[str, ...]) -> tuple[str, ...]:
        for topic in topics:
            if not is_topic(topic):
                raise ValueError(f"{topic!r} is no topic in full, class:space:name")
        return topics

    @field_validator("host_tokens")
    @classmethod
    def _are_hard_to_guess(cls, tokens: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if any(len(token.get_secret_value()) < MIN_TOKEN for token in tokens):
            raise ValueError(f"has a token of fewer than {MIN_TOKEN} characters")
        return tokens

    @field_validator("services")
    @classmethod
    def _are_places(cls, services: tuple[str, ...]) -> tuple[str, ...]:
        for place in services:
            module, _, attribute = place.partition(":")
            if not (module and attribute.isidentifier()):
                raise ValueError(f"{place!r} is not of the form module:attribute")
        return services
