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

    def __init__(self, status: int, detail: str, request: str) -> None:
        """Keep the status and the detail for those who can do something about them."""
        super().__init__(f"{request} was answered {status}: {detail}")
        self.status = status
        self.detail = detail
