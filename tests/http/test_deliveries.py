"""Delivery as an assistant's owner sees and steers it: how far it is, and what was set aside."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from tests.support.assistants import Kind, RecordingAssistantService
from tests.support.behaviours import status
from tests.support.service import Service, running_service
from tests.workers.test_delivery import QUICK, Talk, begin, told

NONE = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
async def quick(database_url: str, tmp_path: Path) -> AsyncGenerator[Service]:
    async with running_service(database_url, tmp_path / "data", delivery=QUICK) as service:
        yield service


@pytest.fixture
async def recorder() -> AsyncGenerator[RecordingAssistantService]:
    async with RecordingAssistantService() as service:
        yield service


async def delivery(talk: Talk) -> dict:
    answer = await talk.ann.get(f"/assistants/{talk.assistant}/delivery")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def until(talk: Talk, wanted: str, value: int) -> dict:
    """Ask until the number is reached."""
    for _ in range(400):
        found = await delivery(talk)
        if found[wanted] >= value:
            return found
    raise AssertionError(found)


async def test_what_waits_is_seen_with_the_reason(quick: Service, recorder: RecordingAssistantService) -> None:
    talk = await begin(quick, recorder)
    await recorder.wait_for(1)
    recorder.answer(Kind.EVENT, then=status(503, "overloaded"))
    await talk.say("one", "two")
    for _ in range(400):
        found = await delivery(talk)
        if found["conversations"][0]["attempts"]:
            break
    (conversation,) = found["conversations"]
    assert (found["assistant_id"], found["assistant_service_online"]) == (talk.assistant, True)
    assert (found["lag_events"], conversation["lag_events"]) == (2, 2)
    assert conversation["head"] - conversation["position"] == 2
    assert conversation["lag_seconds"] > 0
    assert conversation["state"] == "live"
    assert "overloaded" in conversation["last_error"]
    assert (found["dead_letter_count"], found["circuit"]) == (0, "closed")
    recorder.behave()
    for _ in range(400):
        found = await delivery(talk)
        if not found["lag_events"]:
            break
    assert (found["lag_events"], found["lag_seconds"]) == (0, 0)
    assert found["conversations"][0]["last_error"] is None


async def test_dead_letters_are_listed_replayed_and_dropped(
    quick: Service, recorder: RecordingAssistantService
) -> None:
    talk = await begin(quick, recorder)
    await recorder.wait_for(1)
    recorder.answer(Kind.EVENT, then=status(400, "no thanks"))
    await talk.say("one", "two", "three", "four")
    assert (await until(talk, "dead_letter_count", 4))["lag_events"] == 0
    url = f"/assistants/{talk.assistant}/delivery/dead-letters"
    first = (await talk.ann.get(f"{url}?limit=3")).json()
    rest = (await talk.ann.get(f"{url}?limit=3&cursor={first['next_cursor']}")).json()
    letters = [*first["dead_letters"], *rest["dead_letters"]]
    assert "next_cursor" not in rest
    assert [letter["event_type"] for letter in letters] == ["message.created"] * 4
    assert [letter["position"] for letter in letters] == sorted((x["position"] for x in letters), reverse=True)
    assert "no thanks" in letters[0]["reason"]
    newest, third, second, oldest = [letter["id"] for letter in letters]

    still = await talk.ann.post(f"{url}/{newest}/replay")
    assert (still.status_code, "no thanks" in still.json()["detail"]) == (400, True)
    ended = (await talk.ann.post(f"{url}/replay")).json()
    assert (ended["replayed"], "no thanks" in ended["error"]) == (0, True)

    recorder.behave()
    assert (await talk.ann.post(f"{url}/{third}/replay")).status_code == 204
    assert told(recorder, talk) == ["three"]
    assert (await talk.ann.delete(f"{url}/{second}")).status_code == 204
    assert (await talk.ann.post(f"{url}/replay")).json() == {"replayed": 2, "error": None}
    assert told(recorder, talk) == ["three", "one", "four"]
    assert (await talk.ann.get(url)).json() == {"dead_letters": []}
    assert (await talk.ann.post(f"{url}/{oldest}/replay")).status_code == 404
    assert (await talk.ann.delete(f"{url}/{NONE}")).status_code == 404
    wrong = await talk.ann.get(f"{url}?cursor=nonsense")
    assert (wrong.status_code, wrong.json()["field"]) == (400, "cursor")


async def test_a_letter_is_reached_by_its_own_assistant_alone(
    quick: Service, recorder: RecordingAssistantService
) -> None:
    talk = await begin(quick, recorder)
    other = await begin(quick, recorder)
    await recorder.wait_for(2)
    recorder.answer(Kind.EVENT, then=status(400))
    await talk.say("one")
    await until(talk, "dead_letter_count", 1)
    url = f"/assistants/{talk.assistant}/delivery/dead-letters"
    letter = (await talk.ann.get(url)).json()["dead_letters"][0]["id"]
    by_another = f"/assistants/{other.assistant}/delivery/dead-letters/{letter}"
    assert (await talk.ann.post(f"{by_another}/replay")).status_code == 404
    assert (await talk.ann.delete(by_another)).status_code == 404
    assert (await quick.user("bea").delete(f"{url}/{letter}")).status_code == 404
    assert len((await talk.ann.get(url)).json()["dead_letters"]) == 1


async def test_measured_values_can_be_fetched(quick: Service, recorder: RecordingAssistantService) -> None:
    talk = await begin(quick, recorder)
    await recorder.wait_for(1)
    recorder.answer(Kind.EVENT, then=status(400))
    await talk.say("one")
    await until(talk, "dead_letter_count", 1)
    answer = await quick.client().get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    values = dict(line.rsplit(" ", 1) for line in answer.text.splitlines() if not line.startswith("#"))
    assert values['workbench_events_total{type="message.created"}'] == "1.0"
    assert values['workbench_delivery_attempts_total{outcome="delivered"}'] == "1.0"
    assert values['workbench_delivery_attempts_total{outcome="set_aside"}'] == "1.0"
    assert (values["workbench_dead_letters"], values["workbench_delivery_lag_events"]) == ("1.0", "0.0")
    assert values["workbench_streams"] == "0.0"
    assert 1 < float(values["workbench_commits_total"]) <= float(values["workbench_write_statements_total"])
    assert float(values["workbench_read_statements_total"]) > 1
    path = "/conversations/{conversation_id}/messages"
    posted = [name for name in values if name.startswith("workbench_requests_total") and path in name]
    assert posted, "requests are counted by the template of their path"
    assert not any(talk.conversation in name for name in values)
