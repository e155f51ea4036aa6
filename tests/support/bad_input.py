"""What routes of sessions, playbooks and ticket systems take, and what does not fit them (13)."""

from typing import Any

import httpx
from tests.support.ticket_systems import WEBHOOK_KEY
from tests.support.troubleshooting import SESSIONS

from workbench.entrypoints.http.app import create_app
from workbench.wiring.settings import Settings

SESSION = "/ai-sessions/{session}"
CHAT = "/ai-sessions/{chat}"
PLAYBOOK = "/playbooks/printer-offline"
CONNECTIONS = "/psa-connections"
CONNECTION = f"{CONNECTIONS}/{{connection}}"
HOOK = {
    "kind": "webhook",
    "name": "Hook",
    "config": {"url": "https://127.0.0.1:9/"},
    "secret": {"keys": [WEBHOOK_KEY]},
}
NUMBERS = (7, [7], {"of": 7})
EMPTY = ("", " \n\t")


def texts(field: str, longest: int, *others: Any) -> list[tuple[str, Any]]:
    """A text that is asked for: no text at all, an empty one, blanks, and one that is too long."""
    return [(field, wrong) for wrong in (*NUMBERS, None, *EMPTY, "x" * (longest + 1), *others)]


def notes(field: str, longest: int) -> list[tuple[str, Any]]:
    """A text that may be left out."""
    return [(field, wrong) for wrong in (*NUMBERS, "x" * (longest + 1))]


def words(field: str) -> list[tuple[str, Any]]:
    """One of a few words."""
    return [(field, wrong) for wrong in ("none of them", "", 7)]


def truths(field: str) -> list[tuple[str, Any]]:
    """True or false, and nothing else that a program might take for it."""
    return [(field, wrong) for wrong in ("true", 1, None)]


def ids(field: str) -> list[tuple[str, Any]]:
    """An id."""
    return [(field, wrong) for wrong in ("x", 7, "")]


UPLOADS = [("upload_ids", ["a"] * 11), ("upload_ids", "a"), ("upload_ids", [7]), ("upload_ids", [""])]
FOR_MODELS = words("on_unavailable")

#   a route, a body that it takes, the text in it (whose NULs are looked for), and what does not fit: field and value
ROUTES: dict[str, tuple[dict[str, Any], str | None, list[tuple[str, Any]]]] = {
    "POST /ai-sessions": (
        {"intake_content": {"text": "It is slow", "fields": {"floor": 2}}, "start_mode": "manual"},
        "intake_content.text",
        [
            *words("session_type"),
            *words("intake_type"),
            *words("start_mode"),
            *notes("title", 200),
            *ids("playbook_id"),
            *ids("psa_connection_id"),
            *[("psa_ticket_id", wrong) for wrong in ("", "a b", "a/b", "x" * 65, 7, "4711\n")],
            *[("intake_content", wrong) for wrong in ("It is slow", None, [])],
            *texts("intake_content.text", 20_000),
            *notes("intake_content.subject", 300),
            *[("intake_content.fields", wrong) for wrong in ([], {f"f{n}": 1 for n in range(51)}, {"a": {}})],
            *[(f"intake_content.{field}", wrong) for field, wrong in UPLOADS],
            ("intake_content.mood", "bad"),
        ],
    ),
    f"POST {CHAT}/chat": ({"message": "It is slow"}, "message", [*texts("message", 16_000), *UPLOADS]),
    f"POST {SESSION}/respond": (
        {"step_id": "{step}", "free_text": "Tried it"},
        "free_text",
        [
            *ids("step_id"),
            *[("free_text", wrong) for wrong in (*NUMBERS, *EMPTY, "x" * 8001)],
            *notes("option_value", 200),
            *[("option_values", wrong) for wrong in ("no", [7], ["a"] * 13)],
            *words("outcome"),
            *truths("skip"),
            *notes("note", 2000),
            *UPLOADS,
            *ids("fork_from_step_id"),
            *FOR_MODELS,
        ],
    ),
    f"POST {SESSION}/resolve": (
        {"resolution_summary": "It works again", "resolution_action": "fixed"},
        "resolution_summary",
        [
            *texts("resolution_summary", 4000),
            *words("resolution_action"),
            *notes("root_cause", 2000),
            *[("time_spent_minutes", wrong) for wrong in (-1, 10_081, 4.5, "5", True)],
            *truths("push_to_psa"),
        ],
    ),
    f"POST {SESSION}/escalate": (
        {"reason": "No idea"},
        "reason",
        [
            *texts("reason", 2000),
            *words("urgency"),
            *[(field, wrong) for field in ("target_user_id", "team_id") for wrong in (7, "", "x" * 256)],
            *notes("notes", 4000),
            *truths("push_to_psa"),
        ],
    ),
    f"POST {SESSION}/abandon": ({"reason": "No need"}, "reason", notes("reason", 1000)),
    f"POST {SESSION}/pickup": (
        {"additional_context": "Ask Ann"},
        "additional_context",
        [*words("resume_mode"), *notes("additional_context", 4000), *FOR_MODELS],
    ),
    f"PUT {SESSION}/task-lane": (
        {"responses": {"a": "Yes"}},
        "responses.a",
        [
            *[(field, wrong) for field in ("questions", "actions") for wrong in ({}, "x", [7])],
            ("questions", [{"id": f"q{n}", "text": "Why?", "audience": "client"} for n in range(101)]),
            ("actions", [{"id": f"a{n}", "text": "Look"} for n in range(101)]),
            ("actions", [{"id": "a", "text": "Look", "status": "none of them"}]),
            *[("responses", wrong) for wrong in ([], {"a": 7}, {"a": "x" * 8001}, {"a": {}})],
            *[("rev", wrong) for wrong in (-1, "1", 1.5, True)],
        ],
    ),
    f"POST {SESSION}/link-ticket": (
        {"psa_ticket_id": "4711", "psa_connection_id": "{connection}"},
        "psa_ticket_id",
        [
            *[("psa_ticket_id", wrong) for wrong in (None, "", "a b", "a/b", "..", "x" * 65, 7, "4711\n")],
            *ids("psa_connection_id"),
        ],
    ),
    f"POST {SESSION}/status-update": (
        {"audience": "client", "instructions": "Be brief"},
        "instructions",
        [
            *words("audience"),
            *words("tone"),
            *words("length"),
            *truths("include_next_steps"),
            *notes("language", 35),
            *notes("instructions", 1000),
            *truths("post_to_ticket"),
        ],
    ),
    f"POST {SESSION}/rate": (
        {"rating": 4, "feedback": "Quick"},
        "feedback",
        [*[("rating", wrong) for wrong in (0, 6, "5", 4.5, True, None)], *notes("feedback", 2000)],
    ),
    "POST /playbooks/match": (
        {"text": "It does not print"},
        "text",
        [*texts("text", 20_000), *[("fields", wrong) for wrong in ([], {"a": 7}, {"a": "x" * 1001})]],
    ),
    f"POST {PLAYBOOK}/publish": (
        {"version": 0},
        None,
        [("version", wrong) for wrong in (-1, "0", 1.5, True)],
    ),
    f"POST {CONNECTIONS}": (
        HOOK,
        "name",
        [
            *words("kind"),
            *texts("name", 100),
            *[(field, wrong) for field in ("config", "secret") for wrong in ([], "x", None)],
            *truths("enabled"),
        ],
    ),
    f"PATCH {CONNECTION}": (
        {"name": "Ours"},
        "name",
        [*texts("name", 100), *[("config", wrong) for wrong in ([], "x")], *truths("enabled")],
    ),
}


def field_of(answer: httpx.Response) -> str:
    """The first field that a refusal says does not fit."""
    return answer.json()["extra"]["errors"][0]["field"]


def documented() -> dict[str, Any]:
    """The operations of the routes that are strict, as the document has them."""
    paths = create_app(Settings.of()).openapi_schema.to_schema()["paths"]
    return {
        f"{method.upper()} {path}": operation
        for path, methods in paths.items()
        if path.startswith((SESSIONS, "/playbooks", CONNECTIONS))
        for method, operation in methods.items()
    }


def plain(route: str) -> str:
    """A route of the tables as the document names it."""
    named = {"{session}": "{session_id}", "{chat}": "{session_id}", "{connection}": "{connection_id}"}
    for short, full in {**named, PLAYBOOK: "/playbooks/{key}"}.items():
        route = route.replace(short, full)
    return route
