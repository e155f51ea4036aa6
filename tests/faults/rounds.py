"""Rounds: which fault comes when, and what each was worth."""

import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tests.faults.cluster import Cluster
from tests.faults.faults import AWAY, CLOCK, KILLS, PATIENT, SLOW, Fault
from tests.faults.records import Finding
from tests.faults.world import World, opened
from tests.support.assistants import RecordingAssistantService

BEFORE = 15
AFTER = 15
"""How many messages are to be acknowledged before and after a fault."""
OTHERS_EVERY = 4
"""One round in so many is not a kill at some point."""


@dataclass
class Round:
    """One round."""

    number: int
    fault: str
    acknowledged: int = 0
    seen: int = 0
    kills: int = 0
    seconds: float = 0.0
    findings: list[Finding] = field(default_factory=list)


def faults_of(chance: random.Random, more: Sequence[Fault]) -> Iterator[Fault]:
    """Mostly kills, each kind in turn; in between everything else, in turn as well. Never ends."""
    kills, others = [*KILLS], [AWAY, SLOW, CLOCK, *more, PATIENT]
    chance.shuffle(kills)
    number = 0
    while True:
        if number % OTHERS_EVERY == OTHERS_EVERY - 1:
            yield others[number // OTHERS_EVERY % len(others)]
        else:
            yield kills[(number - number // OTHERS_EVERY) % len(kills)]
        number += 1


async def play(
    cluster: Cluster, recorder: RecordingAssistantService, number: int, fault: Fault, chance: random.Random
) -> Round:
    """Play one round."""
    done = Round(number, fault.name)
    began, kills = time.monotonic(), cluster.kills
    try:
        async with opened(
            cluster, recorder, f"user-{number}", chance, fault.message_bytes, has_turn=fault.has_turn
        ) as world:
            done.findings += await _struck(world, fault)
            done.findings += await world.findings()
            done.acknowledged, done.seen = world.acknowledged, world.seen
    except TimeoutError as error:
        done.findings.append(Finding("stuck", str(error) or "the round could not begin"))
    done.kills = cluster.kills - kills
    done.seconds = time.monotonic() - began
    return done


async def _struck(world: World, fault: Fault) -> list[Finding]:
    """Strike a world that is under way, and see it go on."""
    if not await world.goes_on(BEFORE):
        return [Finding("stuck", "nothing was acknowledged even before the fault")]
    try:
        await fault.strike(world)
    except TimeoutError as error:
        return [Finding("stuck", str(error))]
    return [] if await world.goes_on(AFTER) else [Finding("stuck", "nothing is acknowledged any more")]
