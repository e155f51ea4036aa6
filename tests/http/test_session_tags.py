"""The tag of a session: who has it as it is gets no more of it."""

import httpx
from tests.support.service import Service
from tests.support.troubleshooting import by_hand, respond


async def test_who_has_a_session_as_it_is_gets_no_more_of_it(service: Service) -> None:
    ann = service.user()
    session = await by_hand(ann)
    path, conversation = session["path"], f"/conversations/{session['conversation_id']}"
    first = await ann.get(path)
    tag = first.headers["etag"]
    assert tag.startswith(f'"{first.json()["version"]}-')

    async def again() -> httpx.Response:
        return await ann.get(path, headers={"If-None-Match": f'W/{tag}, "other"'})

    same = await again()
    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)
    (await ann.post(f"{conversation}/messages", json={"content": "Anybody here?"})).raise_for_status()
    told = await again()
    assert (told.status_code, told.json()["version"]) == (200, first.json()["version"])
    tag = told.headers["etag"]
    await respond(ann, path, session["first_step"])
    assert (await again()).status_code == 200
    gone = await service.user("dan").get(path, headers={"If-None-Match": "*"})
    assert gone.status_code == 404
