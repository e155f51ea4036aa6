"""What steps tell besides what they ask. The numbers are those of the specification of sessions (16)."""

from tests.support.playbooks import EXAMPLE
from tests.support.service import Service
from tests.support.troubleshooting import by_hand, done, import_playbook, respond, start

SPOOLER = "Jobs stuck in the queue, the print spooler hangs"


async def test_what_nobody_told_is_left_out_of_a_step_and_named(service: Service) -> None:
    ann = service.user()
    await import_playbook(ann, EXAMPLE)
    session = await start(ann, SPOOLER)
    assert session["first_step"]["missing_inputs"] == []
    step = (await respond(ann, session["path"], session["first_step"], option_value="one"))["next_step"]
    assert (step["content"]["prompt"], step["missing_inputs"]) == ("Clear the queue of", ["printer_name"])
    assert (await ann.get(session["path"])).json()["steps"][1]["missing_inputs"] == ["printer_name"]


async def test_16_where_a_playbook_gives_out_others_that_come_near_are_named(service: Service) -> None:
    ann = service.user()
    await import_playbook(ann, EXAMPLE)
    near = EXAMPLE.replace("key: printer-offline", "key: other-queue").replace("start: scope", "start: up")
    await import_playbook(ann, near.replace("phrases: [print spooler, printer offline]", "phrases: [lute]"))
    session = await start(ann, SPOOLER)
    path, step = session["path"], session["first_step"]
    step = (await respond(ann, path, step, option_value="all"))["next_step"]
    step = (await respond(ann, path, step, outcome="failed"))["next_step"]
    assert step["step_type"] == "escalation"
    by_hand_now = (await respond(ann, path, step, free_text="Nobody is there at night"))["next_step"]
    assert by_hand_now["step_type"] == "manual"
    keys = [each["key"] for each in by_hand_now["content"]["context"]["candidates"]]
    assert "other-queue" in keys
    assert "printer-offline" not in keys
    stored = (await ann.get(path)).json()["steps"][-1]["content"]["context"]["candidates"]
    assert [each["key"] for each in stored] == keys


async def test_14_of_several_ways_the_one_that_led_to_the_end_is_told(service: Service) -> None:
    ann = service.user()
    session = await by_hand(ann)
    path, first = session["path"], session["first_step"]
    await respond(ann, path, first, free_text="Tried this")
    await respond(ann, path, first, fork_from_step_id=first["step_id"], free_text="Tried that")
    for action, statuses in (("resolve", ["open", "chosen"]), ("reopen", ["open", "open"])):
        await done(ann, path, action)
        assert [each["status"] for each in (await ann.get(path)).json()["branches"]] == statuses
