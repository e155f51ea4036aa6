"""A service whose requests, deliveries and jobs fail, in a process of its own, whose log is to be read."""

import asyncio
import sys
from pathlib import Path

import httpx
from dishka import Provider, Scope
from tests.support.behaviours import status
from tests.support.openai_server import model_server
from tests.support.servers import eventually
from tests.support.service import running_service

from workbench.adapters.metrics.prometheus import PrometheusMeter
from workbench.domain.delivery.ports import DeliveryMeter, DeliveryOutcome
from workbench.domain.ids import correlation_id
from workbench.domain.speech.model import SpeechToken
from workbench.domain.speech.ports import SpeechTokens
from workbench.wiring.logs import configure_logging
from workbench.wiring.settings import Settings

CAUSE = "5" * 32


class BrokenMeter(PrometheusMeter):
    """Fails once what was said is delivered."""

    failures = 0

    def attempted(self, outcome: DeliveryOutcome) -> None:
        if correlation_id.get() == CAUSE:
            self.failures += 1
            raise RuntimeError(outcome)


class BrokenTokens(SpeechTokens):
    """Fails in a request."""

    async def find(self) -> SpeechToken | None:
        raise RuntimeError("no token")


async def main(database_url: str, folder: Path, *, tracing: bool) -> None:
    meter = BrokenMeter()
    broken = Provider(scope=Scope.APP)
    broken.provide(lambda: meter, provides=DeliveryMeter)
    broken.provide(BrokenTokens, provides=SpeechTokens)
    async with model_server() as model:
        model.answer(then=status(500))
        titles = {"provider": "openai", "model": "local", "base_url": f"{model.url}/v1"}
        settings = {"titles": titles, "tracing": {"enabled": tracing}}
        async with running_service(database_url, folder, broken, **settings) as service, service.recorder() as recorder:
            ann = service.user("ann")
            new = {"assistant_service_id": recorder.service_id, "name": "Recorder"}
            assistant = (await ann.post("/assistants", json=new)).json()["id"]
            path = f"/conversations/{(await ann.post('/conversations', json={})).json()['id']}"
            (await ann.put(f"{path}/participants/{assistant}", json={})).raise_for_status()
            cause = {"X-Request-ID": CAUSE}
            (await ann.post(f"{path}/messages", json={"content": "hello"}, headers=cause)).raise_for_status()
            async with httpx.AsyncClient(base_url=service.url, headers=ann.headers) as unchecked:
                assert (await unchecked.get("/azure-speech/token", headers=cause)).status_code == 500
            await eventually(lambda: model.requests and meter.failures)


if __name__ == "__main__":
    configure_logging(Settings.of(logging={"json_format": True}))
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), tracing=sys.argv[3] == "on"))
