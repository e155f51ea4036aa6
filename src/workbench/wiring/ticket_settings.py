"""Settings of ticket systems."""

import re
from typing import Annotated

from pydantic import BeforeValidator, Field, field_validator

from workbench.wiring.setting_values import Group, list_from_text

MAX_WAIT_SECONDS = 7 * 86_400


class Tickets(Group):
    """Ticket systems: which hosts of one's own network may be called, and how often a note is tried."""

    allowed_hosts: Annotated[tuple[str, ...], BeforeValidator(list_from_text)] = Field(
        default=(),
        description=(
            "Hosts that ticket systems and webhooks may be called at wherever they are, without TLS too. All others are"
            " called by https at public addresses only."
        ),
        examples=["tickets.internal.example"],
    )
    retry_seconds: Annotated[tuple[float, ...], BeforeValidator(list_from_text)] = Field(
        default=(60, 300, 900, 3600, 14400, 43200),
        max_length=20,
        description="Seconds to wait after each failed try of a note, spread by a fifth; after the last wait it is given up.",
        examples=["60,300,900,3600,14400,43200"],
    )

    @field_validator("allowed_hosts")
    @classmethod
    def _are_hosts(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        wrong = [host for host in hosts if not re.fullmatch(r"[A-Za-z0-9.-]+", host)]
        if wrong:
            raise ValueError(f"{wrong[0]!r} is no host; a host has neither a scheme nor a port")
        return hosts

    @field_validator("retry_seconds")
    @classmethod
    def _are_waits(cls, waits: tuple[float, ...]) -> tuple[float, ...]:
        if any(not 1 <= wait <= MAX_WAIT_SECONDS for wait in waits):
            raise ValueError(f"a wait lasts from 1 to {MAX_WAIT_SECONDS} seconds")
        return waits
