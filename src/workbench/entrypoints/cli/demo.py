"""`workbench demo`: the service and an assistant, each as its own process, and a conversation between them and you."""

# rich-click names click's generic ParamType without its arguments.
# pyright: reportUnknownMemberType=false

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import httpx
import rich_click as click
from rich.console import Console
from rich.text import Text

from workbench.entrypoints.cli.answering import StreamedAnswer
from workbench.entrypoints.cli.casework import Casework
from workbench.entrypoints.cli.demo_flows import SERVICES, show_flow
from workbench.entrypoints.cli.processes import Child, child, while_alive
from workbench.entrypoints.cli.talk import Talk
from workbench.entrypoints.cli.transcript import Transcript
from workbench.examples.flow_services import BLUEPRINT, PARAMETER_TYPE
from workbench.wiring.local_tokens import sign_local_token
from workbench.wiring.settings import Settings

SERVICE = "workbench.entrypoints.cli.main"
ASSISTANT = "workbench.examples.echo_assistant"
ASSISTANT_SERVICE_ID = "echo.workbench.example"
TOKEN_SECONDS = 12 * 3600
CALL_SECONDS = 20.0
EXIT_TOLD_TO_STOP = 130
MODELS = "WORKBENCH__MODELS__"
"""Settings of the caller's that the demo takes over: with a model of theirs it is a model that answers."""
DEMO_MODEL = "WORKBENCH__MODELS__NAMED__DEMO__PROVIDER"


@click.command()
@click.option("--once", is_flag=True, help="Stop after the transcript; exit 1 if an expected answer is missing.")
@click.pass_context
def demo(ctx: click.Context, *, once: bool) -> None:
    """Start the service with an assistant on a temporary data folder, and show a conversation as it happens."""
    with tempfile.TemporaryDirectory(prefix="workbench-demo-", ignore_cleanup_errors=True) as folder:
        show = Demo(Path(folder), once=once)
        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(show.run())
    # Whoever stops it after the transcript has seen it all.
    ctx.exit(0 if show.is_complete else EXIT_TOLD_TO_STOP)


class Demo:
    """One demo, from the start of its processes to their end."""

    def __init__(self, folder: Path, *, once: bool) -> None:
        self.is_complete = False
        self._folder = folder
        self._once = once
        self._settings = Settings.of(data_root=folder)
        self._console = Console(highlight=False)
        own = {name: value for name, value in os.environ.items() if name.upper().startswith(MODELS)}
        self._models = own or {DEMO_MODEL: "demo"}
        self._model = "the model of your settings" if own else "a small script in the place of a model"

    async def run(self) -> None:
        """Show it; a signal cancels it. Raises ClickException when something is not as it should be."""
        _let_signals_cancel()
        try:
            await self._on_processes()
        except asyncio.CancelledError:
            self._say("\nStopped.")
            raise
        except httpx.HTTPStatusError as error:
            request, response = error.request, error.response
            detail = f"{request.method} {request.url.path} was answered {response.status_code}: {response.text}"
            raise click.ClickException(detail) from error
        except httpx.HTTPError as error:
            raise click.ClickException(f"The service cannot be reached: {error or type(error).__name__}") from error

    async def _on_processes(self) -> None:
        self._say("Starting the service, then an assistant ...")
        async with self._process("the service", SERVICE, "serve", "--port", "0") as service:
            await service.says_where("serving on ")
            async with self._process("the assistant", ASSISTANT, "--workbench-url", service.url) as assistant:
                await assistant.says_where("listening on ")
                await while_alive(self._talk(service, assistant), [service, assistant])

    def _process(self, name: str, module: str, *arguments: str) -> AbstractAsyncContextManager[Child]:
        settings = {"WORKBENCH__DATA_ROOT": str(self._folder), "WORKBENCH__LOGGING__LOG_LEVEL": "WARNING"}
        settings["WORKBENCH__FLOWS__SERVICES"] = SERVICES
        settings |= self._models
        return child(name, [sys.executable, "-m", module, *arguments], self._folder, settings)

    async def _talk(self, service: Child, assistant: Child) -> None:
        token = self._token("ann", "Ann")
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(
            base_url=service.url, headers=headers, timeout=CALL_SECONDS, trust_env=False
        ) as ann:
            talk = await Talk.begin(ann, ASSISTANT_SERVICE_ID, Transcript(self._console))
            explanation = _explanation(service, assistant, self._folder, token, talk.path)
            shown = self._play(talk, ann, assistant, explanation)
            await while_alive(shown, [talk])

    async def _play(self, talk: Talk, ann: httpx.AsyncClient, assistant: Child, explanation: Text) -> None:
        if missing := await talk.play():
            raise click.ClickException(f"There did not come {'; nor '.join(missing)}. {assistant.last_words()}")
        if missing := await show_flow(ann, self._say, BLUEPRINT, PARAMETER_TYPE):
            raise click.ClickException(f"There did not come {'; nor '.join(missing)}")
        self._say(f"\nAnother assistant, which the service hosts itself, answers by {self._model}:")
        if missing := await StreamedAnswer(ann, self._console).play():
            raise click.ClickException(f"There did not come {'; nor '.join(missing)}")
        self._say("\nA problem is worked on step by step, by a playbook and without a model:")
        if missing := await Casework(ann, self._token("bob", "Bob"), self._console).play():
            raise click.ClickException(f"There is no {'; nor '.join(missing)}")
        self.is_complete = True
        if self._once:
            self._say("\nEvery answer came as expected.")
        else:
            self._console.print(explanation, soft_wrap=True)
            await asyncio.Event().wait()

    def _token(self, user_id: str, name: str) -> str:
        return sign_local_token(
            self._settings, user_id=user_id, name=name, workspace="default", ttl_seconds=TOKEN_SECONDS
        )

    def _say(self, text: str) -> None:
        self._console.print(Text(text, "dim"), soft_wrap=True)


def _let_signals_cancel() -> None:
    """Make what a signal does the same as a failure: processes end in good order, and the folder goes."""
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    if task is not None:
        for told in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(told, task.cancel)


def _explanation(service: Child, assistant: Child, folder: Path, token: str, path: str) -> Text:
    """Say what runs where, and what to try."""
    posting = """-H 'Content-Type: application/json' -d '{"content": "Hello"}'"""
    return Text.from_markup(f"""
[bold]What is running[/], until you press Ctrl-C:
  the service     [cyan]{service.url}[/]  (process {service.process.pid})
  its interface   [cyan]{service.url}/docs[/]  (to be read in a browser)
  the assistant   [cyan]{assistant.url}[/]  (process {assistant.process.pid})
  data folder     {folder}  (is removed at the end)
  database file   {folder / "workbench.db"}

[bold]Try it[/] from another terminal, as Ann. First say who you are and which conversation you mean:
  [green]AUTH="Authorization: Bearer {token}"[/]
  [green]TALK={service.url}{path}[/]
Then list its messages, post one, or follow its events:
  [green]curl -sS -H "$AUTH" $TALK/messages[/]
  [green]curl -sS -H "$AUTH" {posting} $TALK/messages[/]
  [green]curl -sSN -H "$AUTH" $TALK/events[/]

What happens in the conversation goes on here:
""")
