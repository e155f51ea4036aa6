"""What a service may do with a request, well or badly, as plain values that a test hands to it."""

import json
from dataclasses import dataclass, field, replace
from enum import Enum


class Ending(Enum):
    """How the exchange ends."""

    ANSWER = "the whole answer is sent"
    CUT = "half of the answer is sent, then the connection is closed"
    DROP = "the connection is closed without an answer"


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """What is done with one request; `status` None means the answer that a good service gives."""

    status: int | None = None
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    delay_seconds: float = 0.0
    held: bool = False
    ending: Ending = Ending.ANSWER


USUAL = Behaviour()


def status(code: int, detail: str = "as told by the test", **headers: str) -> Behaviour:
    """Answer with a status and a JSON `detail`; underscores in header names become dashes."""
    body = b"" if code == 204 else json.dumps({"detail": detail}).encode()
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Behaviour(status=code, body=body, headers={"content-type": "application/json", **names})


def too_many_requests(retry_after_seconds: float) -> Behaviour:
    return status(429, "slow down", retry_after=f"{retry_after_seconds:g}")


def redirect(location: str, code: int = 307) -> Behaviour:
    return status(code, "look elsewhere", location=location)


def garbage(body: bytes = b'{"not": json') -> Behaviour:
    """Answer 200 with something that says it is JSON and is not."""
    return Behaviour(status=200, body=body, headers={"content-type": "application/json"})


def delayed(seconds: float, behaviour: Behaviour = USUAL) -> Behaviour:
    """Behave so, but late."""
    return replace(behaviour, delay_seconds=seconds)


def hang(behaviour: Behaviour = USUAL) -> Behaviour:
    """Behave so only once the service is told to `release`; ends too when the caller leaves."""
    return replace(behaviour, held=True)


def drop() -> Behaviour:
    """Close the connection once the request has been read, without an answer."""
    return Behaviour(ending=Ending.DROP)


def cut() -> Behaviour:
    """Close the connection in the middle of the answer."""
    return Behaviour(status=200, body=b'{"half": "of an answer"}', ending=Ending.CUT)
