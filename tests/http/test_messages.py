"""Messages over HTTP."""

from tests.support.service import Service, open_stream


async def test_a_posted_message_reaches_the_stream(service: Service) -> None:
    ann = service.user("ann")
    conversation = (await ann.post("/conversations", json={})).json()
    async with open_stream(ann, f"/conversations/{conversation['id']}/events") as stream:
        posted = (await ann.post(f"/conversations/{conversation['id']}/messages", json={"content": "hello"})).json()
        event = await stream.next()
    assert event.name == "message.created"
    assert event.data["data"]["message"] == posted
