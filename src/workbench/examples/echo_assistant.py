"""An example assistant service, to be read before you write your own: it repeats what people say.

It shows what most assistants need: something to set (the greeting), something to see beside the conversation (how
many messages it has answered), answers to what people say, and commands.

Run it with `python -m workbench.examples.echo_assistant --workbench-url http://127.0.0.1:3000`.
"""

import asyncio
from typing import Annotated

import msgspec

from workbench.sdk import AssistantService, Context, Event, Message, State, Template, run

GREETING = "Hello! I repeat what you say. Type /help to see what else I can do."
ABOUT = "Repeats what you say."
HELP = (
    "/reverse some text - says it backwards",
    "/save name some text - keeps it as a file",
    "/count 5 - counts so far, slowly",
    "/help - says this",
)
MOST = 100
BREATH_SECONDS = 0.1


class EchoConfig(msgspec.Struct):
    """What the owner of an assistant may set."""

    greeting: Annotated[
        str, msgspec.Meta(title="Greeting", description="Said on joining a conversation.", max_length=1000)
    ] = GREETING


class Answered(msgspec.Struct):
    """How much has been answered in a conversation."""

    messages: Annotated[int, msgspec.Meta(title="Messages", ge=0)] = 0


ANSWERED = State(id="answered", display_name="Answered", description="How much I have answered.", model=Answered)
ECHO = Template(id="default", name="Echo", description=ABOUT, config=EchoConfig, states=(ANSWERED,))
service = AssistantService("echo.workbench.example", name="Echo", description=ABOUT, templates=[ECHO])


@service.on("participant.created")
async def greet(context: Context, event: Event) -> None:
    """Say hello when it is the assistant itself who has been added."""
    newcomer = event.data.participant
    if newcomer and newcomer.id == str(context.assistant_id):
        async with context.busy():
            await context.reply(context.config(EchoConfig).greeting)


@service.on_message("chat")
async def repeat(context: Context, message: Message) -> None:
    """Repeat what somebody says."""
    count = len(message.content.split())
    await answer(context, f"You said: {message.content} ({count} {'word' if count == 1 else 'words'})")


@service.on_message("command")
async def obey(context: Context, message: Message) -> None:
    """Do what a `/command` asks and tell the outcome."""
    command, *rest = message.content.split(maxsplit=2)
    if command == "/save" and len(rest) == 2:  # noqa: PLR2004 - a name and a text
        await answer(context, await save(context, *rest))
    elif command == "/count" and rest and rest[0].isdecimal():
        await count(context, min(int(rest[0]), MOST))
    else:
        await answer(context, run_command(message.content))


async def save(context: Context, filename: str, text: str) -> str:
    """Keep a text as a file of the conversation, in a new version each time."""
    file = await context.conversation.files.upload(filename, text.encode(), content_type="text/plain")
    return f"Saved {file.filename}, version {file.current_version}"


async def count(context: Context, last: int) -> None:
    """Answer piece by piece, as one does who has to wait for a model: whoever watches sees each number at once."""
    async with context.busy("counting..."), context.answer() as streamed:
        for number in range(1, last + 1):
            await streamed.text(f"{number}" if number == 1 else f" {number}")
            await asyncio.sleep(BREATH_SECONDS)


async def answer(context: Context, text: str) -> None:
    """Answer, then count the answer."""
    async with context.busy():
        await context.reply(text)
    await context.write(ANSWERED, Answered(context.read(ANSWERED).messages + 1))


def run_command(text: str) -> str:
    """Find the outcome of a command."""
    command, argument = (*text.split(maxsplit=1), "", "")[:2]
    if command == "/reverse":
        return argument.strip()[::-1]
    if command == "/help":
        return "\n".join(HELP)
    return f"Error: I know no command {command}. Type /help to see those that I know."


if __name__ == "__main__":
    run(service)
