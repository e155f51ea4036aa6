"""What can go wrong: refusals that an assistant's author raises, and calls to the workbench that fail."""


class SdkError(Exception):
    """Something that this package, or a program that uses it, has a word for."""


class RefusedError(SdkError):
    """The caller asked for something that cannot be; its text is told to the caller."""

    status = 400


class UnknownError(RefusedError):
    """There is no such thing."""

    status = 404


class ClashError(RefusedError):
    """The state of things forbids it now."""

    status = 409


class UnreachableError(SdkError):
    """The workbench could not be reached, or went away before it had answered."""


class CallError(SdkError):
    """The workbench answered, but not with what was asked for."""

    def __init__(self, status: int, detail: str, request: str, code: str = "") -> None:
        """Keep the status, the detail and the stable code for those who can do something about them."""
        super().__init__(f"{request} was answered {status}: {detail}")
        self.status = status
        self.detail = detail
        self.request = request
        self.code = code


class TurnLostError(CallError):
    """The turn is not ours to make, or no longer.

    `code` says why: `stale_epoch` (another producer has it), `turn_terminal` (it has ended), `lease_held` (another
    producer has it, and was heard of just now), `batch_gap` (something was sent in our place), `turn_gone` (the
    conversation or the answer was deleted).
    """


class TurnCancelledError(SdkError):
    """Somebody has asked for the end of the turn. Left alone it ends the block of the answer, and is heard no more."""
