"""Telling who takes a chat over what was found so far: the guide says it, and no model is asked (7.9)."""

from datetime import datetime

from workbench.domain.ids import new_id
from workbench.domain.troubleshooting.chat_turns import ask_and_answer, asked_turn
from workbench.domain.troubleshooting.events import tell_of_escalation
from workbench.domain.troubleshooting.known import stored
from workbench.domain.troubleshooting.model import Escalation, Session
from workbench.domain.troubleshooting.ports import ChatTx
from workbench.domain.troubleshooting.replies import briefing_reply
from workbench.domain.troubleshooting.showing import chatted
from workbench.domain.troubleshooting.views import Chatted


async def brief_in_chat(tx: ChatTx, session: Session, escalation: Escalation, now: datetime) -> Chatted:
    """Store the session as taken over, and have the guide tell its new handler what they have to know."""
    reply = briefing_reply(escalation.packet, escalation.additional_context)
    turn = asked_turn(session, session.handler_id, None, str(new_id()), await tx.turns.now())
    await ask_and_answer(tx, session, None, turn, reply, now)
    tx.sessions.change(session)
    tell_of_escalation(tx.events, "picked_up", session, escalation)
    return chatted(stored(session), turn.turn_id, reply)
