"""Beginning a session: a playbook is found for what is reported, and its first step is asked (5.1, 7.3)."""

from typing import Annotated, Any
from uuid import UUID

import msgspec

from workbench.domain.clock import Clock
from workbench.domain.errors import InvalidError
from workbench.domain.identity.model import Principal
from workbench.domain.ids import new_id
from workbench.domain.playbooks.deciding import decided
from workbench.domain.playbooks.shelf import Shelf, shelf_of
from workbench.domain.playbooks.steps import Step
from workbench.domain.texts import cleaned, cleaned_text
from workbench.domain.tickets.model import TicketId
from workbench.domain.transactions import Transactions, retrying
from workbench.domain.troubleshooting.by_hand import ByHandService, equipped
from workbench.domain.troubleshooting.chat_turns import begin_chat
from workbench.domain.troubleshooting.first_steps import FirstStepService, Opening
from workbench.domain.troubleshooting.foundations import found_session, new_session
from workbench.domain.troubleshooting.guides import Guides
from workbench.domain.troubleshooting.guiding import Following, Guidance, StartMode, no_guidance, opened, opened_with
from workbench.domain.troubleshooting.known import ask, follow, inputs_of, report_of
from workbench.domain.troubleshooting.model import (
    Followed,
    Intake,
    IntakeType,
    Scalar,
    Session,
    SessionStep,
    SessionType,
)
from workbench.domain.troubleshooting.ports import SessionTx
from workbench.domain.troubleshooting.showing import started
from workbench.domain.troubleshooting.ticketing import TicketLookup
from workbench.domain.troubleshooting.uploads import UploadIds
from workbench.domain.troubleshooting.views import Started
from workbench.domain.users.service import meet

MAX_TEXT = 20_000
MAX_SUBJECT = 300
MAX_TITLE = 200
MAX_FIELDS = 50
MAX_FIELD = 1000

FieldName = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
FieldText = Annotated[str, msgspec.Meta(max_length=MAX_FIELD)]


class IntakeContent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is reported, in words; and in fields what a form, an alert or a ticket tells besides."""

    text: Annotated[str, msgspec.Meta(extra_json_schema={"minLength": 1, "maxLength": MAX_TEXT})]
    """Measured without the blanks around it."""
    subject: Annotated[str, msgspec.Meta(max_length=MAX_SUBJECT)] | None = None
    fields: Annotated[dict[FieldName, FieldText | int | float | bool | None], msgspec.Meta(max_length=MAX_FIELDS)] = {}
    upload_ids: UploadIds = ()
    """Files are uploaded to the conversation of the session, so that before it there is none to be named."""


class NewSession(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a caller sends to begin one. With `start_mode` manual it begins whether or not a playbook fits."""

    session_type: SessionType = "guided"
    intake_content: IntakeContent
    intake_type: IntakeType = "free_text"
    title: Annotated[str, msgspec.Meta(max_length=MAX_TITLE)] | None = None
    playbook_id: UUID | None = None
    psa_ticket_id: TicketId | None = None
    """The ticket that it is about; its connection may be left out where exactly one is enabled."""
    psa_connection_id: UUID | None = None
    start_mode: StartMode = "auto"

    def intake(self) -> Intake:
        """What is kept of it. Raises InvalidError where there is no word in it, or too many are."""
        content = self.intake_content
        if content.upload_ids:
            raise InvalidError("There is no such upload", code="unknown_upload", field="intake_content.upload_ids")
        text = cleaned_text(content.text).strip()
        if not text or len(text) > MAX_TEXT:
            told = f"Say in 1 to {MAX_TEXT} characters what the problem is"
            raise InvalidError(told, code="validation_error", field="intake_content.text")
        fields: dict[str, Scalar] = cleaned(content.fields)
        subject = cleaned_text(content.subject).strip() if content.subject else None
        return Intake(type=self.intake_type, text=text, subject=subject or None, fields=fields)


class StartingService:
    """Begins sessions."""

    def __init__(
        self,
        transactions: Transactions[SessionTx],
        guides: Guides,
        clock: Clock,
        first_steps: FirstStepService,
        lookup: TicketLookup,
        by_hand: ByHandService,
    ) -> None:
        self._lookup = lookup
        self._transactions = transactions
        self._by_hand = by_hand
        self._guides = guides
        self._clock = clock
        self._first_steps = first_steps

    async def start(self, principal: Principal, new: NewSession) -> Started:
        """Begin a session: with the first step, or in a chat with what is reported as the first that is said.

        Raises InvalidError, UnavailableError `no_guidance_available` where nothing fits and there is no model, and
        QuotaExceededError or ProviderError where nothing fits and the model is not to be had; then nothing is stored.
        """
        intake = new.intake()
        ticket = await self._lookup.named(principal, new.psa_ticket_id, new.psa_connection_id)
        session = new_session(principal.id, new.session_type, new.title, intake, self._clock.now())
        session = msgspec.structs.replace(session, ticket=ticket)
        if session.session_type == "chat":
            if new.playbook_id is not None:
                raise InvalidError("A chat follows no playbook", code="validation_error", field="playbook_id")
            return await retrying(lambda: self._start_chat(principal, session, new.start_mode))
        opening = await self._opening(principal.workspace_id, new, intake)
        if opening.following.step is None:
            opening = await self._first_steps.written(principal, session, report_of(intake), opening)
        step = opening.following.step
        if step is None:
            raise AssertionError("whoever begins a session has something to ask")
        if step.step_type == "manual":
            step = equipped(step, session, await self._by_hand.look(principal, session))
        begun, first = await retrying(lambda: self._start(principal, session, opening, step))
        began = started(begun, opening.following.candidates, await self._by_hand.shown(principal, first))
        return msgspec.structs.replace(began, fallback_reason=opening.fallback_reason)

    async def _start_chat(self, principal: Principal, session: Session, mode: StartMode) -> Started:
        workspace_id, now = principal.workspace_id, session.created_at
        async with self._transactions.write(workspace_id) as tx:
            shelf = await shelf_of(tx, self._guides.shelves, workspace_id)
            decision = decided(shelf.index.ranked(report_of(session.intake)), self._guides.thresholds)
            can_reply = decision.kind != "nothing" or self._first_steps.serves(workspace_id)
            if not can_reply and mode == "auto":
                raise no_guidance(self._guidance(shelf, session.intake), decision.candidates)
            if decision.kind == "run":
                domain = shelf.playbooks[decision.candidates[0].key].playbook.domain
                session = msgspec.structs.replace(session, problem_domain=domain)
            begin_chat(tx, session, await meet(tx, principal, now), now)
        return started(session, decision.candidates, None)

    async def _opening(self, workspace_id: str, new: NewSession, intake: Intake) -> Opening:
        async with self._transactions.read(workspace_id) as tx:
            shelf = await shelf_of(tx, self._guides.shelves, workspace_id)
        following = self._following(shelf, new, intake, has_model=self._first_steps.serves(workspace_id))
        return Opening(following=following, shelf=shelf)

    async def _start(
        self, principal: Principal, session: Session, opening: Opening, step: Step
    ) -> tuple[Session, SessionStep]:
        now, following, shelf = self._clock.now(), opening.following, opening.shelf
        async with self._transactions.write(principal.workspace_id) as tx:
            user = await meet(tx, principal, now)
            begun: dict[str, Any] = {"created_at": now, "last_activity_at": now, **opening.told}
            session = _guided(msgspec.structs.replace(session, **begun), following, step, shelf)
            root = found_session(tx, session, user, now)
            if following.playbook_key is not None:
                follow(tx, session, followed_from(shelf, following), ())
            first = SessionStep(id=new_id(), branch_id=root.id, step_order=1, step=step, asked_at=now)
            first = ask(tx, session, first, now, opening.message_id)
        return session, first

    def _following(self, shelf: Shelf, new: NewSession, intake: Intake, *, has_model: bool) -> Following:
        report, guidance = report_of(intake), self._guidance(shelf, intake, has_model=has_model)
        if new.playbook_id is not None:
            chosen = shelf.with_id(new.playbook_id)
            if chosen is None:
                raise InvalidError("There is no such playbook", code="unknown_playbook", field="playbook_id")
            return opened_with(guidance, chosen.playbook.key)
        return opened(guidance, decided(shelf.index.ranked(report), self._guides.thresholds), new.start_mode)

    def _guidance(self, shelf: Shelf, intake: Intake, *, has_model: bool = False) -> Guidance:
        documents = {key: each.playbook for key, each in shelf.playbooks.items()}
        return Guidance(
            playbooks=documents, thresholds=self._guides.thresholds, inputs=inputs_of(intake), has_model=has_model
        )


def followed_from(shelf: Shelf, following: Following) -> Followed:
    """The playbook of the shelf that is taken up."""
    shelved = shelf.playbooks[following.playbook_key or ""]
    return Followed(
        playbook_id=shelved.id, version=shelved.version, match=following.match or 0.0, document=shelved.playbook
    )


def _guided(session: Session, following: Following, step: Step, shelf: Shelf) -> Session:
    """The session with the playbook that it follows, and how sure its first step is."""
    sure: dict[str, Any] = {"confidence_score": step.confidence_score, "confidence_tier": step.confidence_tier}
    if following.playbook_key is not None:
        shelved = shelf.playbooks[following.playbook_key]
        sure |= {"matched_flow_id": shelved.id, "playbook_version": shelved.version, "match_score": following.match}
        sure |= {"problem_domain": shelved.playbook.domain}
    return msgspec.structs.replace(session, **sure)
