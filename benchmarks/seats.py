"""Assistants at their seats: registered with services that run elsewhere, and added to conversations."""

from collections.abc import Sequence

from benchmarks.client import Connection
from benchmarks.scenarios import new_conversation
from benchmarks.servers import Server
from benchmarks.turns import Producer


async def assistants_of(server: Server, ann: Connection, urls: Sequence[str], word: str) -> list[str]:
    """Register a service for each URL, and make an assistant of each."""
    heart = await Producer(server.port).open()
    assistants: list[str] = []
    for number, url in enumerate(urls):
        service = f"{word}{number}.workbench.example"
        registration = {"assistant_service_id": service, "name": service, "description": ""}
        await ann.json("POST", "/assistant-service-registrations", registration)
        heart.be(service)
        beat = {"name": service, "description": "", "url": url, "online_expires_in_seconds": 86_400}
        await heart.json("PUT", f"/assistant-service-registrations/{service}", beat)
        made = await ann.json("POST", "/assistants", {"assistant_service_id": service, "name": service})
        assistants.append(made["id"])
    heart.close()
    return assistants


async def seated(ann: Connection, count: int, assistants: Sequence[str], seats: int) -> dict[str, list[str]]:
    """Make so many conversations with so many of the assistants in each, taken in turn; who sits where."""
    found: dict[str, list[str]] = {}
    for number in range(count):
        conversation = await new_conversation(ann)
        found[conversation] = [assistants[(number + nth) % len(assistants)] for nth in range(seats)]
        for assistant in found[conversation]:
            await ann.json("PUT", f"/conversations/{conversation}/participants/{assistant}", {})
    return found
