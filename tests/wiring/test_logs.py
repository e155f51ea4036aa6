"""Logs, as a process writes them."""

import json
import logging
import subprocess
import sys
from typing import Any

from workbench.wiring.logs import redact

PROGRAM = """
import contextvars, logging, sys, structlog
from workbench.wiring.logs import configure_logging
from workbench.domain.ids import correlation_id, trace_parent
from workbench.wiring.settings import Settings

configure_logging(Settings.of(logging={"json_format": sys.argv[1] == "json", "log_level": "info"}))
def in_a_request():
    correlation_id.set("c-1")
    trace_parent.set("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    structlog.get_logger("ours").info("posted", token="hidden", headers={"X-API-Key": "hidden"}, count=2)
    logging.getLogger("uvicorn.error").info("started %d", 7, extra={"password": "hidden", "color_message": "x"})
    logging.getLogger("httpx").info("GET /?token=hidden")
    logging.getLogger("httpx2").info("GET /?token=hidden")
    logging.getLogger("openai._base_client").info("Request options: hidden")
    logging.getLogger("uvicorn.access").info("GET /?token=hidden")
    structlog.get_logger("ours").debug("unseen")
contextvars.copy_context().run(in_a_request)
try:
    local = "hid" + "den"
    raise ValueError("boom")
except ValueError:
    logging.getLogger("theirs").exception("failed")
"""


def written(form: str) -> str:
    finished = subprocess.run([sys.executable, "-c", PROGRAM, form], capture_output=True, text=True, check=True)
    assert finished.stdout == ""
    return finished.stderr


def test_json_has_one_object_per_line_with_correlation_and_without_secrets() -> None:
    text = written("json")
    entries: list[dict[str, Any]] = [json.loads(line) for line in text.splitlines()]
    assert [entry["event"] for entry in entries] == ["posted", "started 7", "failed"]
    assert [entry.get("correlation_id") for entry in entries] == ["c-1", "c-1", None]
    trace = {"trace_id": "0af7651916cd43dd8448eb211c80319c", "span_id": "b7ad6b7169203331"}
    assert [trace.items() <= entry.items() for entry in entries] == [True, True, False]
    assert entries[0]["headers"] == {"X-API-Key": "[redacted]"}
    assert (entries[0]["count"], entries[0]["level"], entries[0]["logger"]) == (2, "info", "ours")
    assert entries[0]["timestamp"].endswith("Z")
    assert "color_message" not in entries[1]
    assert entries[2]["exception"][0]["exc_type"] == "ValueError"
    assert "hidden" not in text


def test_text_is_for_people_and_keeps_the_same_secrets() -> None:
    text = written("text")
    assert "posted" in text
    assert "correlation_id=c-1" in text
    assert "ValueError: boom" in text
    assert "\x1b" not in text
    assert "hidden" not in text


def test_secrets_are_known_by_name_at_any_depth() -> None:
    entry: dict[str, Any] = {
        "Authorization": "x",
        "assistants": [{"api_key": "x", "name": "n"}],
        "user": {"refresh-token": "x", "input_tokens": 3},
    }
    assert redact(logging.getLogger(), "info", entry) == {
        "Authorization": "[redacted]",
        "assistants": [{"api_key": "[redacted]", "name": "n"}],
        "user": {"refresh-token": "[redacted]", "input_tokens": 3},
    }
