"""What operators are told of sessions, rates and jobs (14): from the first moment on, and without anybody's name."""

from prometheus_client.parser import text_string_to_metric_families
from tests.support.service import Service
from tests.support.troubleshooting import FOREIGN, SESSIONS, act, by_hand, done, respond, start

Told = dict[tuple[str, tuple[tuple[str, str], ...]], float]


async def told(service: Service) -> Told:
    text = (await service.user().get("/metrics")).text
    return {
        (sample.name.removeprefix("workbench_"), tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(found: Told, name: str, **labels: str) -> float:
    return found[name, tuple(sorted(labels.items()))]


async def test_every_series_is_there_before_anything_happens(own_service: Service) -> None:
    found = await told(own_service)
    assert value(found, "sessions_started_total", type="guided", source="playbook") == 0
    assert value(found, "session_transitions_total", action="idle", result="done") == 0
    assert value(found, "session_transitions_total", action="pickup", result="refused") == 0
    assert value(found, "session_duration_seconds_count", outcome="abandoned") == 0
    assert value(found, "playbook_match_total", decision="none") == 0
    assert value(found, "steps_total", source="model", tier="discovery") == 0
    assert value(found, "rate_limited_total", route="start_session") == 0
    assert value(found, "rate_limited_total", route="redeem_share") == 0
    assert value(found, "jobs_oldest_seconds", kind="session.purge") == 0
    assert [value(found, "sessions_open", status=each) for each in ("active", "paused", "escalated")] == [0, 0, 0]
    assert (value(found, "escalation_queue_depth"), value(found, "escalations_overdue")) == (0, 0)


async def test_what_happens_to_sessions_is_counted(own_service: Service) -> None:
    ann, bob = own_service.user(), own_service.user("bob")
    session = await start(ann)
    await respond(ann, session["path"], session["first_step"])
    assert (await act(ann, session["path"], "resume")).status_code == 409
    await done(ann, session["path"], "escalate")
    by_then = await told(own_service)
    assert (
        value(by_then, "sessions_open", status="requesting_escalation"),
        value(by_then, "sessions_open", status="active"),
    ) == (1, 0)
    assert value(by_then, "escalation_queue_depth") == 1
    await done(bob, session["path"], "pickup", "resolve")
    await by_hand(ann)
    assert (await ann.post(SESSIONS, json={"intake_content": {"text": FOREIGN}})).status_code == 503
    for _ in range(2):
        await by_hand(ann)
    assert (await ann.post(SESSIONS, json={"intake_content": {"text": FOREIGN}})).status_code == 429
    found = await told(own_service)
    assert value(found, "sessions_started_total", type="guided", source="playbook") == 1
    assert value(found, "sessions_started_total", type="guided", source="system") == 3
    assert value(found, "sessions_open", status="active") == 3
    done_once = ("respond", "escalate", "pickup", "resolve")
    assert [value(found, "session_transitions_total", action=each, result="done") for each in done_once] == [1] * 4
    assert value(found, "session_transitions_total", action="resume", result="refused") == 1
    assert value(found, "session_duration_seconds_count", outcome="resolved") == 1
    assert value(found, "session_steps_sum", outcome="resolved") >= 1
    assert value(found, "playbook_match_total", decision="followed") == 1
    assert value(found, "playbook_match_total", decision="none") == 1
    assert value(found, "playbook_match_score_count") == 2
    assert value(found, "steps_total", source="playbook", tier="guided") >= 2
    assert value(found, "escalation_wait_seconds_count") == 1
    assert value(found, "rate_limited_total", route="start_session") == 1
    assert not [name for name, labels in found if "ann" in dict(labels).values()]
