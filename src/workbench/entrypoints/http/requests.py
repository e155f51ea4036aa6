"""Request bodies, as the contract takes them."""

import re
from typing import Any

from litestar import Request

# An escaped NUL in JSON: an odd number of backslashes before the u. PostgreSQL stores no NUL in text.
_NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")


class WorkbenchRequest(Request[Any, Any, Any]):
    """A request whose JSON holds no NUL, so that both databases store the same."""

    async def body(self) -> bytes:
        """Read the body once."""
        body = await super().body()
        return _NUL.sub(rb"\1", body) if b"\\u0000" in body else body
