"""Shortening long logs (specification of turns, 4.1): what happened first is folded into one, beside those who add to it.

A turn that is folded stays as it is for its producer: nothing that a producer changes is touched. Those who read the log
from a place that is gone begin with a snapshot.
"""

import asyncio
from collections.abc import Sequence

import msgspec

from workbench.domain.errors import StaleError
from workbench.domain.parts.folding import Folding
from workbench.domain.transactions import Transactions
from workbench.domain.turns.model import LogSnapshot, Turn, TurnEvent
from workbench.domain.turns.ports import DueTurn, TurnTx, TurnWatch
from workbench.domain.turns.refusals import log_full, too_much
from workbench.domain.turns.settling import begun_with

PAGE = 200
KEPT_EVENTS, KEPT_BYTES = 1000, 1 << 20
"""How much of a log stays as it is, so that nobody who watches has to begin anew."""
TURNS_AT_ONCE = 100
REMOVED_AT_ONCE = 2000


class ShorteningService:
    """Folds the beginnings of long logs."""

    def __init__(self, transactions: Transactions[TurnTx], watch: TurnWatch) -> None:
        self._transactions = transactions
        self._watch = watch
        self._bell = asyncio.Event()

    def require_room(self, turn: Turn) -> None:
        """Raise where a turn takes no more: UnavailableError until its log is shortened, TooLargeError for good."""
        if turn.has_told_too_much:
            raise too_much()
        if turn.is_log_full:
            self._bell.set()
            raise log_full()

    def note(self, turn: Turn) -> None:
        """See whether the log has become long by what was added."""
        if turn.is_log_long:
            self._bell.set()

    async def rung(self) -> None:
        """Wait until one has."""
        await self._bell.wait()

    async def round(self) -> int:
        """Shorten all logs that are long; says how many were."""
        self._bell.clear()
        return sum([await self._shorten(due) for due in await self._watch.long(TURNS_AT_ONCE)])

    async def _shorten(self, due: DueTurn) -> bool:
        async with self._transactions.read(due.workspace_id) as tx:
            turn = await tx.turns.find(due.conversation_id, due.turn_id)
            kept = None if turn is None else await tx.turns.snapshot(turn.pk)
        if turn is None or not turn.is_log_long:
            return False
        shortened = await self._fold(due.workspace_id, turn, kept)
        try:
            async with self._transactions.write(due.workspace_id) as tx:
                tx.turns.shorten(turn, shortened.snapshot(), turn.log_bytes - shortened.kept_bytes)
        except StaleError:
            return False  # it is over, or another process was quicker
        for seq in (*range(turn.log_floor + REMOVED_AT_ONCE, shortened.seq, REMOVED_AT_ONCE), shortened.seq):
            await self._watch.forget_up_to(turn.pk, seq)
        return True

    async def _fold(self, workspace_id: str, turn: Turn, kept: LogSnapshot | None) -> "_Shortened":
        """Read all of it, page by page, and fold it on another thread: those who add to it are not to wait."""
        after = max(turn.log_floor, kept.up_to_seq if kept else 0)
        shortened = _Shortened(turn, begun_with(kept), after)
        while after < turn.last_seq:
            async with self._transactions.read(workspace_id) as tx:
                page = await tx.turns.events(turn.pk, after, PAGE)
            await asyncio.to_thread(shortened.take, page)
            after = page[-1].seq if page else turn.last_seq
        return shortened


class _Shortened:
    """A log as it is being shortened."""

    def __init__(self, turn: Turn, folding: Folding, after: int) -> None:
        self.seq = after
        self.kept_bytes = 0
        self._turn = turn
        self._folding = folding
        self._bytes_left = turn.log_bytes - turn.folded_bytes

    def take(self, events: Sequence[TurnEvent]) -> None:
        """Fold what comes first, and leave what comes last."""
        for event in events:
            size = len(event.data.encode())
            if self._is_to_be_folded(event):
                self._folding.take(event.type, msgspec.json.decode(event.data))
                self._bytes_left -= size
                self.seq = event.seq
            elif event.seq <= self._turn.last_seq:
                self.kept_bytes += size

    def _is_to_be_folded(self, event: TurnEvent) -> bool:
        left = self._turn.last_seq - self.seq
        return event.seq < self._turn.last_seq and (left > KEPT_EVENTS or self._bytes_left > KEPT_BYTES)

    def snapshot(self) -> LogSnapshot:
        return LogSnapshot(up_to_seq=self.seq, state=self._folding.state())
