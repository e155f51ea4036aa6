"""The demo's flow: two services behind the message bus, called once for one answer and once for its parts."""

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx

FLOW = "demo"
BLUEPRINT = "echoing"
QUESTION = "is anybody there"
EXPECTED = "IS ANYBODY THERE! "
EVENT_STREAM = "text/event-stream"

SERVICES = "workbench.examples.flow_services:services"
"""What the service is told to run."""

Say = Callable[[str], None]


async def show_flow(ann: httpx.AsyncClient, say: Say, blueprint: dict[str, Any], mark: dict[str, Any]) -> list[str]:
    """Start a flow, call it twice, stop it, and say what happens; gives what did not come as expected.

    Raises httpx.HTTPError.
    """
    (await ann.put("/flow-parameter-types/mark", json=mark)).raise_for_status()
    (await ann.put(f"/flow-blueprints/{BLUEPRINT}", json=blueprint)).raise_for_status()
    new = {"flow_id": FLOW, "blueprint": BLUEPRINT}
    started = (await ann.post("/flows?wait=ready", json=new)).raise_for_status().json()
    say(f"\nA flow of two services is {started['state']} on the message bus: shouter, and teller, which asks shouter.")
    answer = (await ann.post(f"/flows/{FLOW}/services/tell", json=QUESTION)).raise_for_status().json()
    say(f"  asked for one answer: {answer['data']}")
    parts = [part async for part in _parts(ann)]
    say(f"  asked for its parts:  {' | '.join(parts)}")
    stopped = (await ann.delete(f"/flows/{FLOW}")).raise_for_status().json()
    left = (await ann.get(f"/flows/{FLOW}/topics")).raise_for_status().json()["topics"]
    cleanup: dict[str, Any] = stopped["cleanup"] or {"deleted": [], "pending": []}
    say(f"  it is {stopped['state']}, and its {len(cleanup['deleted'])} topics are gone.")
    outcomes = {
        "one answer of the flow": answer["data"] == EXPECTED,
        "the parts of the flow's answer": len(parts) > 1 and "".join(parts) == EXPECTED,
        "the end of the flow": stopped["state"] == "stopped",
        "the deletion of its topics": bool(cleanup["deleted"]) and not cleanup["pending"] and not left,
    }
    return [what for what, came in outcomes.items() if not came]


async def _parts(ann: httpx.AsyncClient) -> AsyncIterator[str]:
    """The parts of the answer, as they come."""
    path, headers = f"/flows/{FLOW}/services/tell", {"Accept": EVENT_STREAM}
    async with ann.stream("POST", path, json=QUESTION, headers=headers) as response:
        response.raise_for_status()
        name = ""
        async for line in response.aiter_lines():
            field, _, value = line.partition(": ")
            if field == "event":
                name = value
            elif field == "data" and name in ("part", "final") and "data" in (told := json.loads(value)):
                yield str(told["data"])
