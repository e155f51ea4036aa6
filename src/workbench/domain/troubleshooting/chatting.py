"""A session's chat: somebody writes, and the guide replies, by a model where there is one (7.8).

What was written is stored before a model is asked, and stays where the model fails: written once more, it is answered.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec

from workbench.domain.clock import Clock
from workbench.domain.errors import ConflictError
from workbench.domain.identity.model import Principal
from workbench.domain.ids import new_id
from workbench.domain.messages.model import Message, MessageQuery
from workbench.domain.playbooks.matching import Report
from workbench.domain.playbooks.shelf import Shelf, shelf_of
from workbench.domain.texts import cleaned_text
from workbench.domain.transactions import Transactions, retrying
from workbench.domain.troubleshooting.access import session_not_found
from workbench.domain.troubleshooting.chat_turns import (
    ask,
    ask_and_answer,
    asked_turn,
    branch_of,
    closed_with,
    failed_with,
    question,
)
from workbench.domain.troubleshooting.failures import ProviderError
from workbench.domain.troubleshooting.forking import Pick, Picked, pick_up_fork
from workbench.domain.troubleshooting.generating import reserve_generation
from workbench.domain.troubleshooting.generations import Generation
from workbench.domain.troubleshooting.guides import Guides
from workbench.domain.troubleshooting.known import GUIDE_ID, inputs_of, seen, stored
from workbench.domain.troubleshooting.model import Branch, Session
from workbench.domain.troubleshooting.ports import ChatTx
from workbench.domain.troubleshooting.replies import nothing_to_say, suggested, templated
from workbench.domain.troubleshooting.replying import Pending, Replying
from workbench.domain.troubleshooting.showing import chatted
from workbench.domain.troubleshooting.sourcing import LikeCase, Supply, SupplyService
from workbench.domain.troubleshooting.talking import MAX_LINES
from workbench.domain.troubleshooting.transitions import touched
from workbench.domain.troubleshooting.uploads import UploadIds, uploaded
from workbench.domain.troubleshooting.views import Chatted, SolvedSession
from workbench.domain.turns.model import Turn, TurnError
from workbench.domain.turns.ports import TurnQuery
from workbench.domain.turns.refusals import turn_over
from workbench.domain.turns.settling import Close, settle
from workbench.domain.usage.model import UsageSummary

MAX_CHAT = 16_000
LOST = TurnError(code="producer_lost", message="The reply was lost while it was made.", retryable=True)
DEFECT = TurnError(code="server_error", message="Something went wrong on our side.")


class NewChat(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody writes in a session's chat."""

    message: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_CHAT, pattern=r"\S")]
    upload_ids: UploadIds = ()
    fork: Pick | None = None
    """With it the chat goes on by one of the ways that an earlier reply proposed."""


class _Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody writes, and what there is to go by."""

    session_id: UUID
    text: str
    upload_ids: Sequence[str]
    fork: Pick | None
    shelf: Shelf
    supply: Supply


class _Heard(msgspec.Struct, frozen=True, kw_only=True):
    """The session that something is written in, on the way that is picked, and the names of the files that come with it."""

    session: Session
    branches: tuple[Branch, ...]
    filenames: Sequence[str]
    shared: datetime
    """The time by the clock that all processes share."""


class ChattingService:
    """Takes what is written in chats, and has it answered."""

    def __init__(
        self,
        transactions: Transactions[ChatTx],
        guides: Guides,
        supplies: SupplyService,
        clock: Clock,
        replying: Replying,
    ) -> None:
        self._transactions = transactions
        self._guides = guides
        self._supplies = supplies
        self._clock = clock
        self._replying = replying

    async def chat(self, principal: Principal, session_id: UUID, new: NewChat) -> Chatted:
        """Say something, and have it answered.

        Raises NotFoundError, ForbiddenError, ConflictError (`illegal_transition`, `wrong_session_type`,
        `generation_in_progress`), InvalidError (`unknown_upload`, `unknown_fork`, `unknown_option`), UnavailableError `no_guidance_available` where there is no
        model and no playbook comes near, QuotaExceededError; then nothing is stored. Raises ProviderError; then it is.
        """
        wanted = await self._wanted(principal, session_id, new)
        if not self._replying.generating.serves(principal.workspace_id):
            return await retrying(lambda: self._answer_at_once(principal, wanted))
        await retrying(lambda: self._end_lost(principal, session_id))
        generation, pending = await retrying(lambda: self._ask(principal, wanted))
        return await self._answer(principal, generation, pending)

    async def _wanted(self, principal: Principal, session_id: UUID, new: NewChat) -> _Wanted:
        """What is written, by somebody who may, with what there is to go by; that is looked for outside any block."""
        text, now = cleaned_text(new.message).strip(), self._clock.now()
        async with self._transactions.read(principal.workspace_id) as tx:
            found = await seen(tx, principal, session_id)
            found.require_act("chat", now)
            shelf = await shelf_of(tx, self._guides.shelves, principal.workspace_id)
        report = Report(text=text, fields=inputs_of(found.session.intake))
        supply = await self._supplies.of(principal, report, shelf, session_id)
        return _Wanted(
            session_id=session_id, text=text, upload_ids=new.upload_ids, fork=new.fork, shelf=shelf, supply=supply
        )

    async def _answer_at_once(self, principal: Principal, wanted: _Wanted) -> Chatted:
        now, supply = self._clock.now(), wanted.supply
        async with self._transactions.write(principal.workspace_id) as tx:
            heard = await _heard(tx, principal, wanted, now)
            flows = suggested(wanted.shelf, supply.candidates, self._guides.thresholds.exploring)
            if not (flows or supply.similar):
                raise nothing_to_say(wanted.shelf, supply.candidates)
            session, turn_id, reply = (
                heard.session,
                str(new_id()),
                templated(flows, is_like_another=bool(supply.similar)),
            )
            asked = question(session, principal.id, wanted.text, heard.filenames, turn_id, now)
            turn = asked_turn(session, principal.id, asked, turn_id, heard.shared)
            await ask_and_answer(tx, session, asked, turn, reply, now)
            changed = touched(session, now)
            tx.sessions.change(changed)
        told = chatted(stored(changed), turn_id, reply, unread_uploads=heard.filenames)
        return msgspec.structs.replace(told, similar=[_solved(each) for each in supply.similar])

    async def _end_lost(self, principal: Principal, session_id: UUID) -> None:
        """End a reply whose process is gone: who writes now need not wait until somebody else sees to it."""
        now = self._clock.now()
        async with self._transactions.write(principal.workspace_id) as tx:
            found = await seen(tx, principal, session_id)
            for turn in await tx.turns.active(found.session.conversation_id, GUIDE_ID):
                if not turn.is_held(turn.read_at):
                    await settle(tx, turn, failed_with(found.session, LOST), now)

    async def _ask(self, principal: Principal, wanted: _Wanted) -> tuple[Generation, Pending]:
        now = self._clock.now()
        async with self._transactions.write(principal.workspace_id) as tx:
            heard = await _heard(tx, principal, wanted, now)
            session, turn_id = heard.session, str(new_id())
            unanswered = await _unanswered(tx, session, principal.id, wanted.text)
            asked = unanswered or question(session, principal.id, wanted.text, heard.filenames, turn_id, now)
            turn = asked_turn(session, principal.id, asked, turn_id, heard.shared)
            generation = Generation.wished(principal, "chat_message", session, turn.output_message_id, turn.pk)
            await reserve_generation(tx, self._replying.generating, generation)
            earlier = await tx.messages.page(session.conversation_id, MessageQuery(limit=MAX_LINES))
            downloads = [await tx.files.download(session.conversation_id, name, None) for name in heard.filenames]
            await ask(tx, session, asked, turn, now, is_new=unanswered is None)
            changed = touched(session, now)
            tx.sessions.change(changed)
        return generation, Pending(
            session=stored(changed),
            branches=heard.branches,
            turn=turn,
            asked=asked,
            earlier=[each for each in earlier if each.id != asked.id],
            downloads=[each for each in downloads if each is not None],
            shelf=wanted.shelf,
            supply=wanted.supply,
        )

    async def _answer(self, principal: Principal, generation: Generation, pending: Pending) -> Chatted:
        try:
            reply, unread = await self._replying.reply(generation, pending)
        except Exception as error:
            why = _told(error)
            await retrying(lambda: self._end(principal, pending, failed_with(pending.session, why)))
            raise
        usage = await retrying(lambda: self._end(principal, pending, closed_with(pending.session, reply)))
        return chatted(pending.session, pending.turn.turn_id, reply, unread_uploads=unread, usage=usage)

    async def _end(self, principal: Principal, pending: Pending, close: Close) -> UsageSummary | None:
        """End the turn; answers with what the reply took. Raises NotFoundError, ConflictError where it is over already."""
        conversation_id, ours = pending.session.conversation_id, pending.turn
        async with self._transactions.write(principal.workspace_id) as tx:
            turn = await tx.turns.find(conversation_id, ours.turn_id)
            if turn is None or await tx.sessions.find(pending.session.id) is None:
                raise session_not_found()
            if turn.epoch != ours.epoch or not (turn.is_active or turn.can_be_healed):
                raise turn_over(turn)
            ended = await settle(tx, turn, close, self._clock.now())
        row = ended.usage.row if ended.usage else None
        return UsageSummary.of(row, with_cost=True) if row else None


async def _heard(tx: ChatTx, principal: Principal, wanted: _Wanted, now: datetime) -> _Heard:
    """The session as it is in this block. Raises as `chat` does."""
    found = await seen(tx, principal, wanted.session_id)
    found.require_act("chat", now)
    files = await uploaded(tx, found, wanted.upload_ids)
    for active in await tx.turns.active(found.session.conversation_id, GUIDE_ID):
        raise _in_progress(active)
    filenames = [each.file.filename for each in files]
    picked = Picked(session=found.session)
    if wanted.fork is not None:
        picked = await pick_up_fork(tx, found.case, wanted.fork, now)
    for branch in picked.branches:
        tx.session_steps.branch(found.session.id, branch)
    branches = {each.id: each for each in (*found.case.branches, *picked.branches)}
    shared = await tx.turns.now()
    return _Heard(session=picked.session, branches=tuple(branches.values()), filenames=filenames, shared=shared)


async def _unanswered(tx: ChatTx, session: Session, person_id: str, text: str) -> Message | None:
    """What the same person said last in the same words, if no reply came of it: it is not said twice."""
    newest = await tx.turns.page(session.conversation_id, TurnQuery(assistant_id=GUIDE_ID, limit=1))
    asked_id = newest[0].input_message_id if newest and newest[0].status in {"failed", "aborted"} else None
    asked = await tx.messages.find(asked_id) if asked_id else None
    if asked is None or branch_of(asked.message) != (session.active_branch_id if session.is_branching else None):
        return None
    is_same = asked.message.content == text and asked.message.sender.participant_id == person_id
    return asked.message if is_same else None


def _solved(like: LikeCase) -> SolvedSession:
    return SolvedSession(session_id=like.session_id, title=like.title, resolution=like.resolution)


def _in_progress(active: Turn) -> ConflictError:
    extra = {"turn_id": active.turn_id}
    return ConflictError("The reply before is still made", code="generation_in_progress", extra=extra)


def _told(error: Exception) -> TurnError:
    """Why there is no reply, in words that are safe to show."""
    if isinstance(error, ProviderError):
        return TurnError(code=error.error_code, message=error.detail, retryable=error.is_retryable)
    return DEFECT
