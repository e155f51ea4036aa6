"""/workspace/choices: what a workspace's admins decide for it, and its users see."""

from typing import Any

import httpx
import pytest
from tests.support.service import Service

PATH = "/workspace/choices"
NOTHING = {"share_resolutions": None, "embed_by_model": None}


async def seen(who: httpx.AsyncClient) -> dict[str, Any]:
    answer = await who.get(PATH)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_an_admin_decides_for_the_own_workspace_and_everybody_in_it_sees_it(service: Service) -> None:
    root, ann = service.admin(), service.user()
    before = await seen(ann)
    assert (before["own"], before["workspace_id"]) == (NOTHING, service.workspace())
    assert before["effective"] == {"share_resolutions": False, "embed_by_model": False}
    decided = await root.patch(PATH, json={"share_resolutions": True, "embed_by_model": False})
    assert decided.status_code == 200
    assert decided.json() == await seen(ann)
    assert decided.json()["own"] == {"share_resolutions": True, "embed_by_model": False}
    assert (await seen(service.user("nell", "elsewhere")))["own"] == NOTHING
    refused = await ann.patch(PATH, json={"share_resolutions": False})
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    again = await root.patch(PATH, json={"share_resolutions": None})
    assert again.json()["own"] == {"share_resolutions": None, "embed_by_model": False}
    assert (await root.patch(PATH, json={})).json() == again.json() == await seen(ann)


@pytest.mark.parametrize("body", [{"share_resolutions": "yes"}, {"other": True}, []])
async def test_what_cannot_be_decided_is_refused(service: Service, body: Any) -> None:
    root = service.admin()
    assert (await root.patch(PATH, json=body)).status_code == 422
    assert (await seen(root))["own"] == NOTHING


async def test_nobody_opts_in_to_a_model_that_is_not_there(service: Service) -> None:
    root = service.admin()
    refused = await root.patch(PATH, json={"share_resolutions": True, "embed_by_model": True})
    told = refused.json()
    assert (refused.status_code, told["code"], told["field"]) == (400, "no_embedding_model", "embed_by_model")
    assert (await seen(root))["own"] == NOTHING
