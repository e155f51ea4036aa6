"""Example services of a flow, to be read before you write your own: one answers at once, one in parts, and asks the first.

Have the workbench run them with WORKBENCH__FLOWS__SERVICES=workbench.examples.flow_services:services, and store the
blueprint BLUEPRINT.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from workbench.sdk.flows import Final, FlowContext, FlowService, ServiceError, Usage

BREATH_SECONDS = 0.05

shouter = FlowService("shouter")
teller = FlowService("teller").asks("shouter")
services = [shouter, teller]

BLUEPRINT = {
    "description": "Says again what it is told",
    "parameters": {"mark": {"type": "mark"}},
    "services": [
        {
            "service": "shouter",
            "topics": {
                "request": "request:wb:{workspace}:shouter:{id}",
                "response": "response:wb:{workspace}:shouter:{id}",
            },
            "parameters": {"mark": "{mark}"},
        },
        {
            "service": "teller",
            "topics": {
                "request": "request:wb:{workspace}:teller:{id}",
                "response": "response:wb:{workspace}:teller:{id}",
                "shouter-request": "request:wb:{workspace}:shouter:{id}",
                "shouter-response": "response:wb:{workspace}:shouter:{id}",
            },
        },
    ],
    "interfaces": {
        "shout": {
            "request": "request:wb:{workspace}:shouter:{id}",
            "response": "response:wb:{workspace}:shouter:{id}",
        },
        "tell": {
            "request": "request:wb:{workspace}:teller:{id}",
            "response": "response:wb:{workspace}:teller:{id}",
            "fold": {"mode": "concat"},
        },
    },
}
PARAMETER_TYPE = {"type": "string", "default": "!", "pattern": "[!?]{1,3}"}
"""The type `mark`, which the blueprint names."""


@shouter.input()
async def shout(data: Any, context: FlowContext) -> str:
    """Say it louder."""
    if not isinstance(data, str):
        raise ServiceError("not_a_text", "I can only shout texts.", category="invalid_request")
    return data.upper() + context.param("mark")


@teller.input()
async def tell(data: Any, context: FlowContext) -> AsyncIterator[Any]:
    """Tell what the other service makes of it, word by word."""
    reply = await context.call("shouter").request(data)
    words = str(reply.data).split()
    for word in words:
        yield f"{word} "
        await asyncio.sleep(BREATH_SECONDS)
    yield Final(usage=Usage(model="shouter", prompt_tokens=len(words), completion_tokens=len(words)))
