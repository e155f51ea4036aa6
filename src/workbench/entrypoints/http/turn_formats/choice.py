"""The vocabularies by their names."""

from workbench.domain.errors import NotAcceptableError
from workbench.domain.turns.model import Turn
from workbench.entrypoints.http.turn_formats.ag_ui import AgUi
from workbench.entrypoints.http.turn_formats.ai_sdk import AiSdk
from workbench.entrypoints.http.turn_formats.telling import Native, Telling

NATIVE = "native"
AI_SDK = "ai-sdk"
AG_UI = "ag-ui"
FORMATS = (NATIVE, AI_SDK, AG_UI)


def require_format(name: str) -> None:
    """Raise NotAcceptableError for a vocabulary that is not spoken here."""
    if name not in FORMATS:
        spoken = ", ".join(FORMATS)
        raise NotAcceptableError(f"a turn can be told as {spoken}", field="format", extra={"formats": list(FORMATS)})


def telling_as(name: str, turn: Turn, after: int | None) -> Telling:
    """One who tells a turn in a vocabulary that is spoken here, to a watcher who had everything up to a place."""
    if name == AI_SDK:
        return AiSdk(turn)
    if name == AG_UI:
        return AgUi(turn, after if after is not None and after <= turn.last_seq else 0)
    return Native()
