"""A service that does what it is told, for trials."""

import asyncio
from typing import Any

from workbench.sdk.flows import BusyError, FlowContext, FlowService, ServiceError

trial = FlowService("trial").output("work")
shared = FlowService("shared")
loader = FlowService("loader")
services = [trial, shared, loader]

OWN = "{workspace}:trial:{id}"
SHARED = "{workspace}:shared:{blueprint}"
BLUEPRINT = {
    "parameters": {"mark": {"type": "mark"}},
    "services": [
        {
            "service": "trial",
            "topics": {"request": f"request:wb:{OWN}", "response": f"response:wb:{OWN}", "work": f"flow:wb:{OWN}"},
            "parameters": {"mark": "{mark}"},
        },
        {
            "service": "shared",
            "scope": "blueprint",
            "topics": {"request": f"request:wb:{SHARED}", "response": f"response:wb:{SHARED}"},
        },
        {"service": "loader", "topics": {"work": f"flow:wb:{OWN}", "spare": f"request:wb:{OWN}:none"}},
        {
            "service": "loader",
            "variant": "{workspace}.{id}.spare",
            "topics": {"work": f"flow:wb:{OWN}", "spare": f"response:wb:{OWN}:none"},
        },
    ],
    "interfaces": {
        "try": {"request": f"request:wb:{OWN}", "response": f"response:wb:{OWN}"},
        "strict": {
            "request": f"request:wb:{OWN}",
            "response": f"response:wb:{OWN}",
            "request_schema": {"type": "object", "required": ["say"], "properties": {"say": {"maxLength": 10}}},
            "response_schema": {"type": "string"},
        },
        "shared": {"request": f"request:wb:{SHARED}", "response": f"response:wb:{SHARED}"},
        "load": {"kind": "send", "topic": f"flow:wb:{OWN}", "request_schema": {"required": ["key"]}},
        "nobody": {"request": f"request:wb:{OWN}:none", "response": f"response:wb:{OWN}:none"},
    },
}

DONE: set[str] = set()
COUNTS: dict[str, int] = {}
GATES: dict[str, asyncio.Event] = {}
"""What holds a service up, by name."""


@trial.input(concurrency=32)
async def attempt(data: dict[str, Any], context: FlowContext) -> Any:
    if "fail" in data:
        raise ServiceError(data["fail"], "It is so.", category=data.get("category"))
    if "crash" in data:
        raise RuntimeError("the secret is 42")
    if "busy" in data:
        raise BusyError("slowly", retry_after_seconds=data["busy"])
    if "sleep" in data:
        await asyncio.sleep(data["sleep"])
    if "done" in data:
        return data["done"] in DONE
    if "hand_on" in data:
        await context.output("work").send({"key": data["hand_on"]})
    if "tell" in data:
        return {
            "workspace": context.workspace,
            "flow_id": context.flow_id,
            "service": context.service,
            "mark": context.param("mark"),
            "absent": context.param("absent", "none"),
        }
    return data.get("say")


@shared.input(concurrency=1)
async def count(data: Any, context: FlowContext) -> Any:
    if isinstance(data, dict) and "gate" in data:
        gate = GATES[data["gate"]] = asyncio.Event()
        await gate.wait()
    COUNTS[context.workspace] = COUNTS.get(context.workspace, 0) + 1
    return {"count": COUNTS[context.workspace], "flow_id": context.flow_id}


@loader.input("work", reply=None)
def load(data: dict[str, Any], context: FlowContext) -> None:
    DONE.add(data["key"])
