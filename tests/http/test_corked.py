"""The corked transport: what is written in one turn of the event loop goes out together, and nothing is lost."""

import asyncio
from typing import Any

from workbench.entrypoints.http.corked import FLUSH_BYTES, CorkedTransport


class Below(asyncio.Transport):
    """Notes what reaches the transport below."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Any] = []
        self.closed = False

    def writelines(self, list_of_data: Any) -> None:
        assert not self.closed
        self.calls.append(b"".join(list_of_data))

    def write(self, data: Any) -> None:
        assert not self.closed
        self.calls.append(bytes(data))

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return f"the {name}"


async def test_head_and_body_go_out_together() -> None:
    below = Below()
    corked = CorkedTransport(below, asyncio.get_running_loop())
    corked.write(b"head, ")
    corked.write(b"body")
    assert below.calls == []
    await asyncio.sleep(0)
    assert below.calls == [b"head, body"]
    corked.write(b"next")
    await asyncio.sleep(0)
    assert below.calls == [b"head, body", b"next"]


async def test_a_writer_that_never_pauses_is_not_gathered_without_end() -> None:
    below = Below()
    corked = CorkedTransport(below, asyncio.get_running_loop())
    for _ in range(4):
        corked.write(b"x" * (FLUSH_BYTES // 2))
    assert [len(call) for call in below.calls] == [FLUSH_BYTES, FLUSH_BYTES]
    await asyncio.sleep(0)
    assert len(below.calls) == 2


async def test_closing_sends_what_is_gathered_and_drops_what_comes_after() -> None:
    below = Below()
    corked = CorkedTransport(below, asyncio.get_running_loop())
    corked.write(b"last words")
    corked.close()
    assert below.calls == [b"last words"]
    assert corked.is_closing()
    corked.write(b"too late")
    await asyncio.sleep(0)
    assert below.calls == [b"last words"]


async def test_everything_else_is_the_transports_own() -> None:
    assert CorkedTransport(Below(), asyncio.get_running_loop()).get_extra_info("peername") == "the peername"


async def test_what_a_stream_writes_goes_out_at_once_behind_what_was_gathered() -> None:
    below = Below()
    corked = CorkedTransport(below, asyncio.get_running_loop())
    corked.write(b"headers")
    corked.uncork()
    corked.write(b"frame")
    assert below.calls == [b"headers", b"frame"]
    corked.cork()
    corked.write(b"head, ")
    corked.write(b"body")
    await asyncio.sleep(0)
    assert below.calls == [b"headers", b"frame", b"head, body"]


async def test_a_stream_that_writes_after_the_closing_is_not_heard() -> None:
    below = Below()
    corked = CorkedTransport(below, asyncio.get_running_loop())
    corked.uncork()
    corked.close()
    corked.write(b"too late")
    assert below.calls == []
