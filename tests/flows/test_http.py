"""Flows over HTTP."""

from tests.support.service import Service, Stream

from workbench.examples.flow_services import BLUEPRINT, PARAMETER_TYPE


async def test_a_flow_is_started_called_and_stopped(flow_service: Service) -> None:
    ann = flow_service.user()
    assert (await ann.put("/flow-parameter-types/mark", json=PARAMETER_TYPE)).status_code == 201
    stored = await ann.put("/flow-blueprints/echoing", json=BLUEPRINT)
    assert stored.status_code == 201, stored.text
    started = await ann.post("/flows?wait=ready", json={"flow_id": "f1", "blueprint": "echoing"})
    assert started.status_code == 201, started.text
    assert started.json()["health"] == "ready"
    answer = await ann.post("/flows/f1/services/shout", json="hello")
    assert answer.status_code == 200, answer.text
    assert answer.json()["data"] == "HELLO!"
    folded = await ann.post("/flows/f1/services/tell", json="hello world")
    assert folded.json()["data"] == "HELLO WORLD! "
    accept = {"Accept": "text/event-stream"}
    async with ann.stream("POST", "/flows/f1/services/tell", json="hello world", headers=accept) as response:
        events = await Stream(response).until_end()
    assert [event.name for event in events] == ["open", "part", "part", "final"]
    stopped = await ann.delete("/flows/f1")
    assert stopped.status_code == 200, stopped.text
    assert stopped.json()["state"] == "stopped"
    assert len(stopped.json()["cleanup"]["deleted"]) == 4
    assert stopped.json()["cleanup"]["pending"] == []
