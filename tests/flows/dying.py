"""`python -m tests.flows.dying DATABASE BROKER`: starts or stops a flow and dies, by kill -9, before the step it is told.

Each line on standard input is an act and a number: `stop 3` stops the flow f1 in a process of its own, which is killed
before its third step on the database or the bus. Answered with `killed`, or with `done` where it had fewer steps.
"""

import asyncio
import os
import signal
import sys
import traceback
from typing import Any

from prometheus_client import CollectorRegistry
from tests.support.databases import open_store
from tests.support.flow_processes import ANN, Process

from workbench.adapters.bus.rabbitmq import RabbitBus
from workbench.adapters.metrics.flows import PrometheusFlows
from workbench.adapters.sql.flow_ledger import SqlFlowLedger
from workbench.domain.flows.model import NewFlow

STEPS = frozenset(
    "begin run fail stop withdraw sweep finish claim_doomed deleted not_deleted create_topic delete_topic".split()  # noqa: SIM905
)


class Life:
    """So many steps."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def step(self) -> None:
        self.left -= 1
        if self.left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)


class Mortal:
    """Something whose steps count."""

    def __init__(self, inner: Any, life: Life) -> None:
        self._inner = inner
        self._life = life

    def __getattr__(self, name: str) -> Any:
        if name in STEPS:
            self._life.step()
        return getattr(self._inner, name)


async def act(what: str, steps: int, database_url: str, broker_url: str) -> None:
    life = Life(steps)
    bus = RabbitBus(broker_url, PrometheusFlows(CollectorRegistry()))
    await bus.start()
    async with open_store(database_url) as store:
        ledger: Any = Mortal(SqlFlowLedger(store.database, store.group.announce_all), life)
        mortal: Any = Mortal(bus, life)
        process = Process(store, mortal, ledger)
        # Only this is done; what else a process does from time to time, it does not.
        if what == "start":
            await process.flows.start(ANN, NewFlow(flow_id="f1", blueprint="b"))
        else:
            await process.flows.stop(ANN, "f1")
    await bus.close()


def in_a_process(what: str, steps: int, *urls: str) -> str:
    child = os.fork()
    if child == 0:
        try:
            asyncio.run(act(what, steps, *urls))
        except BaseException:  # noqa: BLE001 - whatever it was, this process ends here
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return {0: "done", -signal.SIGKILL: "killed"}.get(status, f"failed with {status}")


if __name__ == "__main__":
    for line in sys.stdin:
        verb, number = line.split()
        sys.stdout.write(f"{in_a_process(verb, int(number), *sys.argv[1:])}\n")
        sys.stdout.flush()
