"""Request bodies, as the contract takes them."""

from typing import Any

import msgspec
from litestar import Request
from litestar.exceptions import SerializationException, ValidationException

from workbench.domain.errors import UnsupportedError
from workbench.domain.texts import read_json, without_nul
from workbench.entrypoints.http.strict import is_strict, require_fit


class WorkbenchRequest(Request[Any, Any, Any]):
    """A request whose body is JSON, said to be so or not said to be anything, and holds no NUL."""

    _checked: bytes | None = None

    async def body(self) -> bytes:
        """Read the body. Another content type than JSON is a 422, as the contract has it, or strictly a 415."""
        # The framework asks once to see whether there is any, and once more to read it.
        if self._checked is None:
            self._checked = await self._check()
        return self._checked

    async def _check(self) -> bytes:
        kind = self._said(b"content-type")
        if is_strict(self.scope["path"]):
            require_json(kind)
            return await super().body()
        kind = "json" if kind is None else kind
        if "json" not in kind.lower():
            fault = {"message": f"the body must be JSON, not {kind}", "source": "body"}
            raise ValidationException(extra=[fault])
        return without_nul(await super().body())

    @property
    def content_length(self) -> int | None:
        """How many bytes the body is said to have; None where nothing is said that makes sense."""
        said = self._said(b"content-length")
        return int(said) if said is not None and said.isdecimal() else None

    def _said(self, name: bytes) -> str | None:
        """What a header says, read by itself: the framework makes a mapping of all of them."""
        for given, value in self.scope["headers"]:
            if given == name:
                return value.decode("latin-1")
        return None

    async def text(self) -> bytes:
        """Read the body as it is, of whatever kind."""
        return await super().body()

    async def json(self) -> Any:
        """Read the body as JSON; none at all is null."""
        try:
            value = read_json(await self.body() or b"null")
        except msgspec.DecodeError as error:
            raise SerializationException(str(error)) from error
        if is_strict(self.scope["path"]):
            require_fit(self.route_handler, value)
        return value


def require_json(said: str | None) -> None:
    """Raise UnsupportedError where a content type is said that is not JSON."""
    kind = "application/json" if said is None else said.partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise UnsupportedError("the body must be application/json", field="body")
