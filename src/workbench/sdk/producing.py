"""Making an answer piece by piece: however its block is left, the turn ends, and says how."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Coroutine
from contextlib import asynccontextmanager
from itertools import count
from typing import Any
from uuid import uuid4

import msgspec

from workbench.sdk.errors import RefusedError, TurnCancelledError, TurnLostError
from workbench.sdk.holding import Closing, Hold
from workbench.sdk.model import Json
from workbench.sdk.sending import Sender
from workbench.sdk.turn_model import ModelCall, TurnError

LAST_SECONDS = 10.0
PIECE_LENGTH = 8 * 1024
FAILED = TurnError(code="server_error", message="The assistant could not finish its answer.")

log = logging.getLogger(__name__)


class Ending(msgspec.Struct, kw_only=True):
    """What goes with an answer besides its parts. `finish_reason` may say more than that it ended, such as `length`."""

    finish_reason: str | None = None
    content_type: str = "text/plain"
    metadata: Json = {}
    debug_data: Json = {}


class Answer:
    """An answer that is being made. What is added is sent soon, in the order in which it came.

    Once somebody has asked for the end, adding raises TurnCancelledError. When the workbench refuses what was sent, or
    is away for too long, a later call raises CallError or UnreachableError; TurnLostError when the turn is not ours
    any more.
    """

    def __init__(self, hold: Hold, sender: Sender) -> None:
        """Add to a turn that is ours; rather ask a conversation for `turn` or `answer`."""
        self.turn_id = hold.turn_id
        self.ending = Ending()
        self._hold = hold
        self._sender = sender
        self._block: tuple[str, str] | None = None  # kind and id
        self._numbers = count(1)

    @property
    def parts(self) -> list[Json]:
        """What an earlier producer made, where we go on from there."""
        return self._hold.parts

    @property
    def cancelled(self) -> bool:
        """Whether somebody has asked for the end; known some seconds later at most."""
        return self._hold.is_cancelled

    async def text(self, delta: str) -> None:
        """Go on with the text."""
        await self._grow("text", delta)

    async def reasoning(self, delta: str) -> None:
        """Go on with the thoughts that lead to the answer."""
        await self._grow("reasoning", delta)

    async def tool(self, name: str, args: Json | None = None, *, call_id: str = "") -> "ToolCall":
        """Tell that a tool is called; without `args` these are still being made, and told later."""
        call = ToolCall(self, name, call_id or uuid4().hex)
        await self._close_block()
        await self.add({"type": "tool.start", "toolCallId": call.id, "toolName": name})
        if args is not None:
            await call.args(args)
        return call

    async def part(self, part: Json) -> None:
        """Add a whole part: an `image`, a `status`, or `data-*`; data with the same `id` replace each other."""
        if not part["type"].startswith("data-"):
            await self._close_block()
        await self.add({"type": "part", "part": part})

    async def call(self, call: ModelCall) -> None:
        """Tell what a call of a model took, also when the answer is cancelled: it was spent."""
        known = call if call.call_id else msgspec.structs.replace(call, call_id=uuid4().hex)
        await self._sender.add({"type": "usage.call", **msgspec.to_builtins(known)})

    async def add(self, event: Json) -> None:
        """Add an event of the wire as it is."""
        if self.cancelled:
            raise TurnCancelledError("somebody has asked for the end of the turn")
        await self._sender.add(event)

    async def _grow(self, kind: str, delta: str) -> None:
        if not delta:
            return
        if self._block is None or self._block[0] != kind:
            await self._close_block()
            self._block = kind, f"{kind}-{self._hold.epoch}-{next(self._numbers)}"
            await self.add({"type": f"{kind}.start", "id": self._block[1]})
        whole = _storable(delta)
        for start in range(0, len(whole), PIECE_LENGTH):
            piece = whole[start : start + PIECE_LENGTH]
            await self.add({"type": f"{kind}.delta", "id": self._block[1], "delta": piece})

    async def _close_block(self) -> None:
        if self._block is not None:
            (kind, block_id), self._block = self._block, None
            await self.add({"type": f"{kind}.end", "id": block_id})


class ToolCall:
    """A call of a tool within an answer."""

    def __init__(self, answer: Answer, name: str, call_id: str) -> None:
        """Belong to an answer, where it has been told of."""
        self.id = call_id
        self.name = name
        self._answer = answer

    async def args_delta(self, delta: str) -> None:
        """Show a piece of the arguments, in JSON, while they are made."""
        await self._answer.add({"type": "tool.args.delta", "toolCallId": self.id, "delta": _storable(delta)})

    async def args(self, args: Json) -> None:
        """Tell the arguments."""
        await self._answer.add({"type": "tool.args", "toolCallId": self.id, "toolName": self.name, "args": args})

    async def result(self, result: Any) -> None:
        """Tell what came of it: anything that JSON has."""
        await self._answer.add({"type": "tool.result", "toolCallId": self.id, "result": result})

    async def error(self, message: str) -> None:
        """Tell that it failed, in words that all may read."""
        await self._answer.add({"type": "tool.error", "toolCallId": self.id, "message": message})


@asynccontextmanager
async def producing(taking: Awaitable[Hold]) -> AsyncGenerator[Answer]:
    """Make the answer of a turn in a block.

    At its end the turn is finalized: as completed; after an exception, which goes on unchanged, as failed; as aborted
    when the task was cancelled or somebody asked for the end of the turn.
    """
    hold = await taking
    sender = Sender(hold.add)
    answer = Answer(hold, sender)
    try:
        yield answer
    except BaseException as error:
        try:
            await _outlasting(_end(answer, hold, sender, error), LAST_SECONDS)
        except Exception as failure:  # noqa: BLE001 - whatever it is, it must not hide why the block was left
            if failure is not error:
                log.warning("turn %s is left to the workbench to end: %s", hold.turn_id, failure)
        if not isinstance(error, TurnCancelledError):
            raise
    else:
        await _outlasting(_end(answer, hold, sender, None), None)


async def _end(answer: Answer, hold: Hold, sender: Sender, error: BaseException | None) -> None:
    failure = await sender.finish()
    if isinstance(failure, TurnLostError):
        raise failure
    outcome, told = _outcome(error or failure, is_cancelled=hold.is_cancelled)
    ending = answer.ending
    closing = Closing(
        epoch=hold.epoch,
        outcome=outcome,
        finish_reason=ending.finish_reason if outcome == "completed" else None,
        content_type=ending.content_type,
        error=told,
        metadata=ending.metadata,
        debug_data=ending.debug_data,
    )
    await hold.close(closing)
    if failure is not None:
        raise failure


def _outcome(error: BaseException | None, *, is_cancelled: bool) -> tuple[str, TurnError | None]:
    """Say how a block that was left so ends its turn; of an exception nothing is told that is not meant for others."""
    if isinstance(error, asyncio.CancelledError | GeneratorExit | TurnCancelledError):
        return "aborted", None
    if isinstance(error, RefusedError):
        return "failed", TurnError(code=FAILED.code, message=str(error))
    if error is not None:
        return "failed", FAILED
    return ("aborted" if is_cancelled else "completed"), None


async def _outlasting(work: Coroutine[Any, Any, None], limit_seconds: float | None) -> None:
    """Do something to its end although we may be cancelled meanwhile, for some seconds; then be cancelled.

    Raises TimeoutError behind the limit.
    """
    task = asyncio.create_task(work)
    loop = asyncio.get_running_loop()
    timers = [] if limit_seconds is None else [loop.call_later(limit_seconds, task.cancel)]
    interruption: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as cancelled:
            interruption = interruption or cancelled
            timers.append(loop.call_later(LAST_SECONDS, task.cancel))
    for timer in timers:
        timer.cancel()
    failure = TimeoutError("too slow") if task.cancelled() else task.exception()
    if interruption is not None:
        if failure is not None:
            log.warning("a turn is left to the workbench to end: %s", failure)
        raise interruption
    if failure is not None:
        raise failure


def _storable(text: str) -> str:
    """Replace halves of surrogate pairs, which have no place in JSON."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
