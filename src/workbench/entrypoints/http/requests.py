"""Request bodies, as the contract takes them."""

import re
from typing import Any

from litestar import Request
from litestar.exceptions import ValidationException

# An escaped NUL in JSON: an odd number of backslashes before the u. PostgreSQL stores no NUL in text.
_NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")


class WorkbenchRequest(Request[Any, Any, Any]):
    """A request whose body is JSON, said to be so or not said to be anything, and holds no NUL."""

    async def body(self) -> bytes:
        """Read the body. Another content type than JSON is a 422, as the contract has it."""
        kind = self.headers.get("content-type", "json")
        if "json" not in kind.lower():
            fault = {"message": f"the body must be JSON, not {kind}", "source": "body"}
            raise ValidationException(extra=[fault])
        body = await super().body()
        return _NUL.sub(rb"\1", body) if b"\\u0000" in body else body
