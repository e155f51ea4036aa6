"""The inbox of an assistant in a conversation."""

from tests.support.servers import eventually

from workbench.sdk.inbox import REMEMBERED, Inbox, Job


async def test_remembers_only_so_many_events() -> None:
    done: list[str] = []

    def job(name: str) -> Job:
        async def run() -> None:
            done.append(name)

        return Job(name, "event", "", run)

    inbox = Inbox(limit=2 * REMEMBERED)
    names = [*map(str, range(REMEMBERED + 1)), "1", "0"]
    for name in names:
        assert inbox.take(job(name))
    await eventually(lambda: inbox.worker is None)
    assert done == [*names[:-2], "0"]
