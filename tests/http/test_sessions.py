"""Troubleshooting sessions over HTTP: from what is reported to the documentation (specification of sessions, 16)."""

from typing import Any

import httpx
from tests.support.service import Service

SESSIONS = "/ai-sessions"
REPORT = "The printer on the second floor shows offline and jobs are stuck in the print queue"
FOREIGN = "Our cafeteria would like a different brand of coffee beans next month"


async def started(who: httpx.AsyncClient, text: str = REPORT, **more: Any) -> dict[str, Any]:
    answer = await who.post(SESSIONS, json={"intake_content": {"text": text}, **more})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_from_what_is_reported_to_its_documentation(service: Service) -> None:
    ann = service.user("ann")
    session = await started(ann)
    path = f"{SESSIONS}/{session['session_id']}"
    assert session["candidates"][0]["key"] == "printer-offline"
    step = session["first_step"]
    for _ in range(3):
        answer = {"step_id": step["step_id"], "option_value": step["options"][0]["value"]}
        responded = await ann.post(f"{path}/respond", json=answer)
        assert responded.status_code == 200, responded.text
        step = responded.json()["next_step"]
    resolved = await ann.post(
        f"{path}/resolve", json={"resolution_summary": "Cleared the queue", "resolution_action": "fixed"}
    )
    assert resolved.status_code == 200, resolved.text
    told = await ann.get(f"{path}/documentation")
    assert told.status_code == 200, told.text
    assert (await ann.get(path)).status_code == 200
    assert (await ann.get(SESSIONS)).json()["items"][0]["id"] == session["session_id"]
