"""`workbench workspaces`: what a workspace decides for itself, while the service runs and texts could leave the machine."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.cli.test_cli import plain
from tests.cli.test_lifecycle import found, workbench
from tests.support.databases import open_store
from tests.support.embedding_server import EmbeddingServer, embedding_server
from tests.support.service import Service, running_service
from tests.support.troubleshooting import SOLVED, act, by_hand

from workbench.adapters.clock import SystemClock
from workbench.domain.identity.model import DEFAULT_WORKSPACE
from workbench.entrypoints.cli.running import operator

ZITHER = "The zither in the music room buzzes on the lowest string"
LIKE_IT = "A zither in the music room buzzes again, on the lowest string"


def by_model(url: str) -> dict[str, str]:
    """Settings of the command line."""
    settings = {"PROVIDER": "openai", "MODEL": "tiny", "DIMENSIONS": "4", "BASE_URL": url}
    return {f"WORKBENCH__EMBEDDINGS__{name}": value for name, value in settings.items()}


async def spaces_of(service: Service) -> dict[str, str]:
    async with (
        open_store(service.database_url, SystemClock()) as store,
        store.transactions.read(DEFAULT_WORKSPACE) as tx,
    ):
        return {space.descriptor.model: space.state for space in await tx.spaces.all()}


async def redacted(who: httpx.AsyncClient, path: str) -> list[Any]:
    answer = await who.get(f"{path}/similar")
    assert answer.status_code == 200, answer.text
    return [item["resolution_summary"] for item in answer.json()["items"] if item["redacted"]]


async def test_a_choice_is_made_shown_and_taken_back(database_url: str, tmp_path: Path) -> None:
    settings = {**by_model("http://127.0.0.1:9/v1"), "WORKBENCH__SESSIONS__SHARE_RESOLUTIONS": "default"}
    shown = await found(database_url, tmp_path, "workspaces", "show", **settings)
    hashed = {"provider": "hashed", "model": "words", "dims": 1024, "algo_version": 1}
    assert shown == {
        "workspace_id": "default",
        "own": {"share_resolutions": None, "embed_by_model": None},
        "effective": {"share_resolutions": True, "embed_by_model": False},
        "embeds": hashed,
    }
    chosen = ("workspaces", "set", "--share-resolutions", "off", "--embed-by-model", "on")
    after = await found(database_url, tmp_path, *chosen, **settings)
    assert after["own"] == after["effective"] == {"share_resolutions": False, "embed_by_model": True}
    assert after["embeds"] == {"provider": "openai", "model": "tiny", "dims": 4, "algo_version": 1}
    assert await found(database_url, tmp_path, "workspaces", "show", **settings) == after
    other = await found(database_url, tmp_path, "workspaces", "show", "--workspace", "elsewhere", **settings)
    assert other["own"] == shown["own"]
    said = await workbench(database_url, tmp_path, "workspaces", "set", "--share-resolutions", "default", **settings)
    assert said.output.splitlines() == [
        "share_resolutions: on, by the settings",
        "embed_by_model: on, by the workspace's own choice",
        "vectors are made by: openai, tiny",
    ]
    entries = (await found(database_url, tmp_path, "audit", "list", **settings))["entries"]
    assert [(each["act"], each["subject"], each["detail"]) for each in reversed(entries)] == [
        ("choices.set", "default", {"scope": "workspace", "share_resolutions": False, "embed_by_model": True}),
        ("choices.set", "default", {"scope": "workspace", "share_resolutions": None}),
    ]
    assert {each["actor_id"] for each in entries} == {operator().id}


@pytest.mark.parametrize("arguments", [(), ("--share-resolutions", "maybe"), ("--embed-by-model", "on")])
async def test_what_cannot_be_chosen_is_wrong_usage(
    database_url: str, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    refused = await workbench(database_url, tmp_path, "workspaces", "set", *arguments)
    assert refused.exit_code == 2
    if arguments[:1] == ("--embed-by-model",):
        assert "The settings name no model that makes vectors" in plain(refused)
    assert (await found(database_url, tmp_path, "audit", "list"))["entries"] == []


async def test_texts_leave_the_machine_from_the_moment_on_in_which_it_is_decided_and_no_longer(
    database_url: str, tmp_path: Path
) -> None:
    async with embedding_server(4) as model:
        settings = by_model(model.url)
        embeddings = {"provider": "openai", "model": "tiny", "dimensions": 4, "base_url": model.url}
        async with running_service(database_url, tmp_path / "data", embeddings=embeddings) as service:
            ann = service.user()
            await by_hand(ann, ZITHER)
            await until(service, {"words": "active"})
            assert model.requests == []
            await found(database_url, tmp_path, "workspaces", "set", "--embed-by-model", "on", **settings)
            await until(service, {"tiny": "active"})
            assert texts_of(model) == [ZITHER]
            await found(database_url, tmp_path, "workspaces", "set", "--embed-by-model", "off", **settings)
            asked = await by_hand(ann, LIKE_IT)
            await until(service, {"words": "active"})
            (item,) = (await ann.get(f"{asked['path']}/similar")).json()["items"]
            assert "similar_text" in item["why"]
            assert texts_of(model) == [ZITHER]


async def until(service: Service, spaces: dict[str, str]) -> None:
    async with asyncio.timeout(30):
        while True:
            if await spaces_of(service) == spaces:
                return
            await asyncio.sleep(0.05)


def texts_of(model: EmbeddingServer) -> list[str]:
    """The reports that it was sent; a text begins with the title."""
    return [text.rpartition("\n")[2] for request in model.requests for text in request.json["input"]]


async def test_solutions_are_shared_as_long_as_the_workspace_wants_it(database_url: str, tmp_path: Path) -> None:
    async with running_service(database_url, tmp_path / "data") as service:
        ann, bob = service.user(), service.user("bob")
        solved = await by_hand(bob, LIKE_IT)
        assert (await act(bob, solved["path"], "resolve")).is_success
        asked = await by_hand(ann, ZITHER)
        assert await redacted(ann, asked["path"]) == []
        for decision, expected in (("on", [SOLVED["resolution_summary"]]), ("off", [])):
            await found(database_url, tmp_path, "workspaces", "set", "--share-resolutions", decision)
            assert await redacted(ann, asked["path"]) == expected
