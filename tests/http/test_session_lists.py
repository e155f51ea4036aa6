"""What a session is in a list, and what its handler and others are told of it. The numbers are those of the specification (16)."""

from tests.support.service import Service
from tests.support.troubleshooting import REPORT, SESSIONS, act, by_hand, done, respond, start

MORE_IN_DETAIL = {"steps", "conversation_messages", "pending_task_lane"}


async def test_an_item_of_a_list_is_the_session_as_its_reader_may_see_it(service: Service) -> None:
    ann, bob = service.user(), service.user("bob")
    session = await start(ann)
    await done(ann, session["path"], "task-lane", "escalate")
    await done(bob, session["path"], "pickup", "resolve")
    await done(ann, session["path"], "rate")
    for who, access in ((ann, "read"), (bob, "act")):
        (item,) = (await who.get(SESSIONS)).json()["items"]
        detail = (await who.get(session["path"])).json()
        assert detail.keys() - item.keys() == MORE_IN_DETAIL
        # Who asks for a colleague says in a packet what was done: that is the steps again.
        assert all(each["packet"] for each in detail["escalations"])
        detail["escalations"] = [{**each, "packet": {}} for each in detail["escalations"]]
        assert {**{name: detail[name] for name in item}, "intake_content": item["intake_content"]} == item
        assert {**item["intake_content"], "text": REPORT} == detail["intake_content"]
        assert [item[name]["name"] for name in ("owner", "handler")] == ["Ann", "Bob"]
        assert item["access"] == access
        assert [(each["state"], each["picked_up_by"]) for each in item["escalations"]] == [("picked_up", "bob")]
        assert item["allowed_actions"] == (["delete", "rate"] if who is ann else ["reopen"])
        assert (item["session_rating"], item["confidence_score"]) == (
            4 if who is ann else None,
            session["confidence_score"],
        )


async def test_asking_for_a_colleague_answers_with_notes_for_the_ticket(service: Service) -> None:
    ann = service.user()
    session = await by_hand(ann)
    await respond(ann, session["path"], session["first_step"], free_text="Rebooted srv-7")
    asked = (await act(ann, session["path"], "escalate")).json()
    assert "Rebooted srv-7" in asked["ticket_notes"]


async def test_29_a_named_colleague_may_do_nothing_but_read_and_take_it_over(service: Service) -> None:
    ann, bob = service.user(), service.user("bob")
    assert (await bob.get("/users/me")).status_code == 200
    path = (await by_hand(ann))["path"]
    await act(ann, path, "escalate", {"reason": "No idea", "target_user_id": "bob"})
    for action in ("pause", "resolve", "escalate", "withdraw-escalation", "abandon", "task-lane", "rate", "delete"):
        refused = await act(bob, path, action)
        assert (refused.status_code, refused.json()["code"]) == (403, "pickup_required"), action
    assert (await bob.get(f"{path}/documentation")).status_code == 404
    assert (await bob.get(f"{path}/similar")).status_code == 200
