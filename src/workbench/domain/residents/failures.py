"""How an answer fails, in words that are safe to show, whoever was to speak."""

from workbench.domain.turns.model import TurnError

SHUTDOWN = TurnError(code="shutdown", message="The service was stopped while the answer was made.", retryable=True)
SERVER_ERROR = TurnError(code="server_error", message="Something went wrong on our side.")


class SpeakingFailedError(Exception):
    """Who was to speak said nothing, or not all of it; the `error` says why. What is not safe to show is in the cause."""

    def __init__(self, error: TurnError) -> None:
        super().__init__(error.code)
        self.error = error
