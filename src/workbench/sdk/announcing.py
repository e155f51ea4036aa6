"""The heartbeat of a service: without it the workbench takes the service for dead."""

import asyncio
import logging

import msgspec

from workbench.sdk.client import WorkbenchClient
from workbench.sdk.errors import SdkError

BEAT_SECONDS = 30.0
ONLINE_SECONDS = 105.0  # three beats may be missed before we count as offline
FIRST_PAUSE_SECONDS = 0.5

log = logging.getLogger(__name__)


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True):
    """What a service says of itself, again and again."""

    name: str
    description: str
    url: str
    online_expires_in_seconds: float = ONLINE_SECONDS


async def announce_for_ever(workbench: WorkbenchClient, service_id: str, heartbeat: Heartbeat) -> None:
    """Say every 30 s that we are here; after a failure sooner, then ever later."""
    pause_seconds = FIRST_PAUSE_SECONDS
    while True:
        try:
            await workbench.announce(service_id, msgspec.structs.asdict(heartbeat))
        except SdkError as error:
            log.warning("not announced, trying again in %.1f s: %s", pause_seconds, error)
            await asyncio.sleep(pause_seconds)
            pause_seconds = min(2 * pause_seconds, BEAT_SECONDS)
        else:
            pause_seconds = FIRST_PAUSE_SECONDS
            await asyncio.sleep(BEAT_SECONDS)
