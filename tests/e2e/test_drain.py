"""SIGTERM ends a server well; several workers are one service."""

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
import psutil
import pytest
from tests.support.processes import ServerProcess, server_process
from tests.support.servers import eventually
from tests.support.service import open_stream

from workbench.entrypoints.workers.running import RunnerPolicy


def user(url: str, token: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=15)


async def test_a_server_that_is_told_to_stop_says_goodbye(sqlite_url: str, tmp_path: Path) -> None:
    async with server_process(tmp_path / "data", sqlite_url) as server:
        async with user(server.url, await server.token()) as ann:
            path = f"/conversations/{(await ann.post('/conversations', json={})).json()['id']}"
            async with open_stream(ann, f"{path}/events") as stream, open_stream(ann, "/events") as feed:
                begun = time.monotonic()
                stopping = asyncio.create_task(server.stop())
                assert (await stream.until_end(), await feed.until_end()) == ([], [])
            assert any("reconnect" in comment for comment in stream.comments)
            assert await stopping == 0
            assert time.monotonic() - begun < 10
            with pytest.raises(httpx.ConnectError):
                await ann.get("/readyz")


async def test_requests_in_flight_are_answered(sqlite_url: str, tmp_path: Path) -> None:
    async with server_process(tmp_path / "data", sqlite_url) as server:
        async with user(server.url, await server.token()) as ann:
            path = f"/conversations/{(await ann.post('/conversations', json={})).json()['id']}"

            async def slowly() -> object:
                yield b'{"content": "'
                await asyncio.sleep(0.5)
                yield b'in flight"}'

            posting = asyncio.create_task(ann.post(f"{path}/messages", content=slowly()))
            await asyncio.sleep(0.2)
            stopping = asyncio.create_task(server.stop())
            answer = await posting
            assert (answer.status_code, answer.json()["content"]) == (200, "in flight")
            assert await stopping == 0


async def test_before_it_refuses_it_says_that_it_leaves_and_serves_on(sqlite_url: str, tmp_path: Path) -> None:
    noticed = {"WORKBENCH__SERVICE__DRAIN_DELAY_SECONDS": "3"}
    async with server_process(tmp_path / "data", sqlite_url, **noticed) as server:
        async with user(server.url, await server.token()) as ann:
            assert "connection" not in (await ann.get("/users/me")).headers
            stopping = asyncio.create_task(server.stop())
            async with asyncio.timeout(2):
                while (await ann.get("/readyz")).status_code != 503:  # noqa: ASYNC110 - each look is a call
                    await asyncio.sleep(0.01)
            for _ in range(2):
                answer = await ann.get("/users/me")
                assert (answer.status_code, answer.headers["connection"]) == (200, "close")
            assert not stopping.done()
            assert await stopping == 0
            with pytest.raises(httpx.ConnectError):
                await ann.get("/readyz")


@contextlib.asynccontextmanager
async def half_an_upload(server: ServerProcess) -> AsyncGenerator[asyncio.StreamReader]:
    """Begin an upload that never ends, and be sure that it is waited for; read what comes of it."""
    token = await server.token()
    async with user(server.url, token) as ann:
        path = f"/conversations/{(await ann.post('/conversations', json={})).json()['id']}/files"
    at = httpx.URL(server.url)
    reader, writer = await asyncio.open_connection(at.host, at.port)
    head = f"PUT {path} HTTP/1.1\r\nHost: {at.host}\r\nAuthorization: Bearer {token}\r\nExpect: 100-continue\r\n"
    writer.write(f"{head}Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 9000\r\n\r\n--x".encode())
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100")
    yield reader
    writer.close()


async def test_who_was_taken_in_is_answered_though_the_request_comes_after_the_end_began(
    sqlite_url: str, tmp_path: Path
) -> None:
    async with server_process(tmp_path / "data", sqlite_url) as server:
        token = await server.token()
        at = httpx.URL(server.url)
        reader, writer = await asyncio.open_connection(at.host, at.port)
        async with user(server.url, token) as ann:
            # Who is answered came after who said nothing yet.
            (await ann.get("/users/me")).raise_for_status()
        server.interrupt()
        await refused(server.url)
        head = f"GET /users/me HTTP/1.1\r\nHost: {at.host}\r\nAuthorization: Bearer {token}\r\n\r\n"
        writer.write(head.encode())
        answer = (await reader.read()).decode().lower()
        assert answer.startswith("http/1.1 200")
        assert "connection: close" in answer
        writer.close()
        assert await server.ended() == 0


async def refused(url: str) -> None:
    """Wait until nobody is taken in there any more."""
    async with asyncio.timeout(10):
        with contextlib.suppress(httpx.TransportError):
            while True:
                async with httpx.AsyncClient() as client:
                    await client.get(url)


@pytest.mark.parametrize(("drain_seconds", "interruptions"), [("600", 2), ("0.5", 1)])
async def test_who_is_still_there_at_the_end_is_cut_off_without_ado(
    drain_seconds: str, interruptions: int, sqlite_url: str, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    settings = {"WORKBENCH__SERVICE__DRAIN_SECONDS": drain_seconds, "WORKBENCH__LOGGING__LOG_LEVEL": "WARNING"}
    async with (
        server_process(tmp_path / "data", sqlite_url, log=log, **settings) as server,
        half_an_upload(server) as uploading,
    ):
        server.interrupt()
        if interruptions > 1:
            await refused(server.url)
            server.interrupt()
        with contextlib.suppress(ConnectionResetError):
            assert await uploading.read() == b""
        assert await server.ended() == 0
    (said,) = log.read_text().splitlines()
    assert "requests were cut off" in said


async def test_ctrl_c_once_more_ends_the_time_in_which_it_still_serves(sqlite_url: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    async with server_process(
        tmp_path / "data", sqlite_url, log=log, WORKBENCH__SERVICE__DRAIN_DELAY_SECONDS="300"
    ) as server:
        server.interrupt()
        async with httpx.AsyncClient() as client, asyncio.timeout(10):
            while (await client.get(f"{server.url}/readyz")).status_code != 503:  # noqa: ASYNC110 - each look is a call
                await asyncio.sleep(0.01)
        server.interrupt()
        assert await server.ended() == 0
    assert log.read_text() == ""


async def test_ctrl_c_once_more_cuts_answers_short(sqlite_url: str, tmp_path: Path) -> None:
    log, asked = tmp_path / "log", asyncio.Event()

    async def think_for_ever(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await reader.read()
        writer.close()

    model = await asyncio.start_server(think_for_ever, "127.0.0.1", 0)
    at = f"http://127.0.0.1:{model.sockets[0].getsockname()[1]}/v1"
    settings = {"PROVIDER": "openai", "MODEL": "m", "BASE_URL": at}
    named = {f"WORKBENCH__MODELS__NAMED__SLOW__{name}": value for name, value in settings.items()}
    async with server_process(tmp_path / "data", sqlite_url, log=log, **named) as server, model:
        async with user(server.url, await server.token()) as ann:
            new = {"assistant_service_id": "workbench.model", "template_id": "chat", "name": "Mo"}
            assistant = (await ann.post("/assistants", json=new)).json()["id"]
            path = f"/conversations/{(await ann.post('/conversations', json={})).json()['id']}"
            (await ann.put(f"{path}/participants/{assistant}", json={})).raise_for_status()
            (await ann.post(f"{path}/messages", json={"content": "hello"})).raise_for_status()
            await asyncio.wait_for(asked.wait(), 20)
        server.interrupt()
        await refused(server.url)
        server.interrupt()
        # An answer has longer than that to come to its end.
        async with asyncio.timeout(RunnerPolicy().drain_seconds - 2):
            assert await server.ended() == 0
    assert log.read_text() == ""


async def test_workers_are_one_service(database_url: str, tmp_path: Path) -> None:
    async with server_process(tmp_path / "data", database_url, "--workers", "2") as server:
        token = await server.token()
        async with user(server.url, token) as ann:
            path = f"/conversations/{(await ann.post('/conversations', json={})).json()['id']}"
            # Each of many connections lands on either worker, so that most events cross from one to the other.
            clients = [user(server.url, token) for _ in range(6)]
            streams = [
                await ann_too.send(ann_too.build_request("GET", f"{path}/events"), stream=True) for ann_too in clients
            ]
            for number in range(8):
                async with user(server.url, token) as another:
                    await another.post(f"{path}/messages", json={"content": str(number)})
            for response in streams:
                ids: list[int] = []
                async for line in response.aiter_lines():
                    if line.startswith("id: "):
                        ids.append(int(line[4:]))
                    if len(ids) == 8:
                        break
                assert ids == list(range(2, 10))
                await response.aclose()
            for client in clients:
                await client.aclose()
        assert await server.stop() == 0


def workers_of(server: ServerProcess) -> dict[int, psutil.Process]:
    """The worker processes, not what Python runs beside them."""
    assert server._process is not None
    found: dict[int, psutil.Process] = {}
    for child in psutil.Process(server._process.pid).children():
        with contextlib.suppress(psutil.Error):
            if "spawn_main" in " ".join(child.cmdline()) and child.status() != psutil.STATUS_ZOMBIE:
                found[child.pid] = child
    return found


class Posters:
    """Clients that post without a pause, each message on a connection of its own, which lands on any worker."""

    def __init__(self, url: str, token: str, path: str) -> None:
        self._url, self._token, self._path = url, token, path
        self.acknowledged: list[str] = []
        self.refused: list[httpx.HTTPError] = []
        self._ending = False
        self._tasks = [asyncio.create_task(self._post_on(who)) for who in range(3)]

    async def _post_on(self, who: int) -> None:
        number = 0
        while not self._ending:
            number += 1
            content = f"{who}-{number}"
            async with user(self._url, self._token) as client:
                try:
                    answer = await client.post(f"{self._path}/messages", json={"content": content})
                    answer.raise_for_status()
                except httpx.HTTPError as error:
                    self.refused.append(error)
                else:
                    self.acknowledged.append(content)

    async def end(self) -> None:
        self._ending = True
        await asyncio.gather(*self._tasks)


async def test_a_worker_that_dies_is_replaced_and_nothing_is_lost(sqlite_url: str, tmp_path: Path) -> None:
    async with server_process(tmp_path / "data", sqlite_url, "--workers", "2") as server:
        token = await server.token()
        async with user(server.url, token) as ann:
            path = f"/conversations/{(await ann.post('/conversations', json={})).json()['id']}"
        await eventually(lambda: len(workers_of(server)) == 2, timeout_seconds=20)
        posters = Posters(server.url, token, path)
        await eventually(lambda: len(posters.acknowledged) >= 20, timeout_seconds=20)
        victim = next(iter(workers_of(server).values()))
        victim.kill()
        enough = len(posters.acknowledged) + 20
        await eventually(
            lambda: len(posters.acknowledged) >= enough and len(workers_of(server).keys() - {victim.pid}) == 2,
            timeout_seconds=20,
        )
        await posters.end()
        async with user(server.url, token) as ann:
            last = (await ann.get(f"{path}/messages?limit=1")).json()["messages"][-1]["content"]
            seen: list[str] = []
            async with open_stream(ann, f"{path}/events", 1) as stream:
                while last not in seen:
                    event = await stream.next()
                    seen.append(event.data["data"]["message"]["content"])
                    assert int(event.id) == len(seen) + 1
        assert len(seen) == len(set(seen))
        assert set(posters.acknowledged) <= set(seen)
        assert await server.stop() == 0


async def test_a_worker_that_dies_while_it_is_asked_how_it_is_is_replaced_as_soon(
    sqlite_url: str, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    warned = {"WORKBENCH__LOGGING__LOG_LEVEL": "WARNING"}
    async with server_process(tmp_path / "data", sqlite_url, "--workers", "2", log=log, **warned) as server:
        await eventually(lambda: len(workers_of(server)) == 2, timeout_seconds=20)
        victim = next(iter(workers_of(server).values()))
        victim.suspend()
        # It is asked every half a second, and cannot answer.
        await asyncio.sleep(1.5)
        victim.kill()
        await eventually(lambda: len(workers_of(server).keys() - {victim.pid}) == 2, timeout_seconds=20)
        assert await server.stop() == 0
    (said,) = log.read_text().splitlines()
    assert "a worker ended and was replaced" in said
    assert f"pid={victim.pid}" in said


async def test_signals_replace_add_and_take_away_workers_and_nobody_is_refused(sqlite_url: str, tmp_path: Path) -> None:
    async with server_process(tmp_path / "data", sqlite_url, "--workers", "2") as server:
        token = await server.token()
        async with user(server.url, token) as ann:
            path = f"/conversations/{(await ann.post('/conversations', json={})).json()['id']}"
        await eventually(lambda: len(workers_of(server)) == 2, timeout_seconds=20)
        first = workers_of(server).keys()
        posters = Posters(server.url, token, path)
        server.tell(signal.SIGHUP)
        await eventually(
            lambda: len(workers_of(server).keys() - first) == 2 and not workers_of(server).keys() & first,
            timeout_seconds=40,
        )
        second = workers_of(server).keys()
        server.tell(signal.SIGTTIN)
        await eventually(lambda: len(workers_of(server)) == 3, timeout_seconds=20)
        for left in (2, 1, 1):
            server.tell(signal.SIGTTOU)
            await eventually(lambda left=left: len(workers_of(server)) == left, timeout_seconds=20)
        assert workers_of(server).keys() <= second
        enough = len(posters.acknowledged) + 20
        await eventually(lambda: len(posters.acknowledged) >= enough, timeout_seconds=20)
        await posters.end()
        assert posters.refused == []
        assert await server.stop() == 0


async def test_workers_drain_when_who_looks_after_them_is_gone(sqlite_url: str, tmp_path: Path) -> None:
    async with server_process(tmp_path / "data", sqlite_url, "--workers", "2") as server:
        await eventually(lambda: len(workers_of(server)) == 2, timeout_seconds=20)
        workers = list(workers_of(server).values())
        async with user(server.url, await server.token()) as ann:
            path = f"/conversations/{(await ann.post('/conversations', json={})).json()['id']}"
            async with open_stream(ann, f"{path}/events") as stream:
                await server.kill()
                assert await stream.until_end() == []
            assert any("reconnect" in comment for comment in stream.comments)
        await eventually(lambda: not any(worker.is_running() for worker in workers), timeout_seconds=20)
        # Its port and its database are free for the next.
        await server.start()
        assert await server.stop() == 0
