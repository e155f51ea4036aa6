"""Writes the parts of the reference that the program itself knows, so that no page can fall behind the code.

A generated part stands between two comments; what is around it is written by hand. `python docs/generate.py` writes,
`python docs/generate.py --check` only tells which pages are stale.
"""

# ruff: noqa: INP001 - a script beside the pages that it writes

import ast
import json
import re
import sys
import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, get_args

import click
import msgspec
from litestar import Litestar
from litestar.routes import HTTPRoute
from pydantic import BaseModel

from workbench.adapters.playbooks.documents import read_document
from workbench.adapters.playbooks.starters import starter_texts
from workbench.domain.events.model import ASSISTANT_TYPES, FEED_TYPES
from workbench.domain.playbooks import model as playbooks
from workbench.domain.playbooks.calibrating import KnownReport, Measured, Verdict, measured
from workbench.domain.playbooks.confidence import Thresholds
from workbench.domain.playbooks.matching import PlaybookIndex
from workbench.domain.playbooks.model import Node, Playbook, Trigger
from workbench.domain.playbooks.reading import read_playbook
from workbench.entrypoints.cli.main import EXIT_CODES, EXIT_SETTINGS, main
from workbench.entrypoints.http.app import create_app
from workbench.entrypoints.http.document import TAILS
from workbench.entrypoints.http.errors import STATUS
from workbench.wiring import setting_groups
from workbench.wiring.setting_names import DELIMITER, PREFIX, SettingEntry
from workbench.wiring.settings import Settings, settings_reference

DOCS = Path(__file__).parent
SOURCE = DOCS.parent / "src" / "workbench"
CALIBRATION = DOCS.parent / "tests" / "calibration"
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
NAME_WIDTH = 26
REASON_WIDTH = 60
GUARDS = {
    "users_only": "user",
    "actors_only": "user, assistant",
    "services_only": "service, assistant",
    "hosts_only": "host of services of flows",
    "engineers_only": "user who works on sessions",
    "authors_only": "user who writes playbooks",
}

# What the wire contract has, by its sections; whether a route is there is read from the application.
CONTRACT = {
    "Root, users, speech": {
        "GET /": "",
        "GET /users": "Shows the caller and those who share a conversation with them: anybody could look up everybody.",
        "GET /users/me": "Keeps a name that was set by `PUT`: each sign-in overwrote it.",
        "PUT /users/me": "`name: null` means unchanged: it was an internal error.",
        "GET /azure-speech/token": "Users only: services and assistants have no use for it.",
    },
    "Assistant-service registrations": {
        "POST /assistant-service-registrations": "",
        "PUT /assistant-service-registrations/{id}": "",
        "PATCH /assistant-service-registrations/{id}": "",
        "POST /assistant-service-registrations/{id}/api-key": (
            "Takes `overlap_seconds` and `expires_in_seconds`: a key can be replaced without a gap."
        ),
        "GET /assistant-service-registrations": (
            "`assistant_service_online=false` lists those offline: it listed those online."
        ),
        "GET /assistant-service-registrations/{id}": "",
        "DELETE /assistant-service-registrations/{id}": (
            "Its assistants leave their conversations first, and the others are told: nobody was."
        ),
    },
    "Assistant services": {
        "GET /assistant-services": "Leaves out a service whose answer cannot be read: it failed the whole list.",
        "GET /assistant-services/{id}": "",
        "GET /assistant-services/{id}/info": "Works: it was hidden by the route before it.",
    },
    "Assistants": {
        "GET /assistants": "Two calls at once make a default assistant once.",
        "GET /assistants/{id}": "",
        "POST /assistants": "",
        "PATCH /assistants/{id}": (
            "`name: null` means unchanged. While the service is offline all but the name can be changed."
        ),
        "DELETE /assistants/{id}": "",
        "GET /assistants/{id}/config": "",
        "PUT /assistants/{id}/config": "",
        "GET /assistants/{id}/conversations": "",
        "GET /assistants/{id}/export": (
            "Only active seats are asked for data, and a conversation that the service does not know is no failure."
        ),
        "GET /assistants/{id}/conversations/{id}/states": "Needs sight of the conversation itself, not of any other.",
        "GET /assistants/{id}/conversations/{id}/states/{id}": "As the list.",
        "PUT /assistants/{id}/conversations/{id}/states/{id}": "Needs leave to write there: observers could write.",
        "POST /assistants/{id}/states/events": (
            "Names only conversations that the assistant is in: it could speak into any."
        ),
    },
    "Conversations": {
        "POST /conversations": "Tells `conversation.created`, so that a list can follow the user stream.",
        "GET /conversations": "Pages with `limit` and `cursor`; without them nothing changes.",
        "GET /conversations/{id}": "",
        "PATCH /conversations/{id}": "`title: null` means unchanged: it was an internal error.",
        "DELETE /conversations/{id}": (
            "Is there: clients call it. Its owner deletes it; an assistant deletes one that it made, and leaves others."
        ),
        "POST /conversations/{id}": (
            "Duplicates, or opens a conversation for an owner, as is meant: of two routes on one path one was hidden."
        ),
        "GET /conversations/export": "Takes ids with commas between them as well: the front end sends them so.",
        "POST /conversations/import": (
            "All or nothing, checked first, with limits. Assistants that did not come along stay as inactive seats."
        ),
        "GET /conversations/{id}/events": (
            "Resumes by `Last-Event-ID` or `last_event_id`; `stream.gap` tells of what is no longer kept; ends when access does."
        ),
        "GET /events": "As the stream of a conversation. Its JSON is compact: one encoding serves both.",
    },
    "Participants": {
        "GET /conversations/{id}/participants": "",
        "GET /conversations/{id}/participants/{id}": "",
        "PUT /conversations/{id}/participants/{id}": (
            "A failed joining puts the seat back as it was. Adding an assistant needs leave to write: observers could."
        ),
        "PATCH /conversations/{id}/participants/{id}": "As `PUT`.",
    },
    "Messages": {
        "GET /conversations/{id}/messages": (
            "Pages forward with `order=asc`. Cursors of other conversations count for nothing; `limit` is capped at 500."
        ),
        "POST /conversations/{id}/messages": "The same id with the same body is answered with what is stored.",
        "GET /conversations/{id}/messages/{id}": "Needs an active seat: who was removed could still read.",
        "GET /conversations/{id}/messages/{id}/debug_data": "As the message.",
        "DELETE /conversations/{id}/messages/{id}": "As the message.",
    },
    "Files": {
        "PUT /conversations/{id}/files": (
            "Limits by file, conversation and workspace (413). No part of a name between slashes is empty, `.` or `..`. "
            "Metadata of a file that is no object is 400."
        ),
        "GET /conversations/{id}/files": "`prefix` is taken as it is: `%` and `_` stood for others, and case did not count.",
        "GET /conversations/{id}/files/{id}": (
            "Has a length, an ETag and ranges. `filename*` stands before `filename`. Names that end in `/versions` work."
        ),
        "GET /conversations/{id}/files/{id}/versions": "",
        "PATCH /conversations/{id}/files/{id}": "",
        "DELETE /conversations/{id}/files/{id}": "",
    },
    "Shares": {
        "POST /conversation-shares": "Takes `with_token` and `expires_datetime`.",
        "POST /conversation-shares/{id}": (
            "For an assistant in the conversation, in its owner's name: anybody could share anything."
        ),
        "GET /conversation-shares": "The oldest first.",
        "GET /conversation-shares/{id}": "A share with a token needs it.",
        "DELETE /conversation-shares/{id}": "",
        "POST /conversation-shares/{id}/redemptions": (
            "Tells the others (`participant.created`, `participant.updated`). Limited to 30 a minute for a user."
        ),
        "GET /conversation-shares/{id}/redemptions": "",
        "GET /conversation-share-redemptions": "",
    },
}
"""Each route of the contract, and where it is answered otherwise, how and why."""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def code(text: str) -> str:
    """Write as code, where there is something to write."""
    return f"`{text}`" if text else ""


def settings_part() -> str:
    """Write every setting, by group."""
    groups: dict[str, list[SettingEntry]] = {}
    for entry in settings_reference():
        group, _, name = entry.name.removeprefix(PREFIX).partition(DELIMITER)
        groups.setdefault(group.lower() if name else "", []).append(entry)
    return "\n\n".join(_settings_group(name, entries) for name, entries in groups.items())


def _settings_group(name: str, entries: list[SettingEntry]) -> str:
    annotation: Any = Settings.model_fields[name].annotation if name else None
    annotation = (get_args(annotation) or [annotation])[-1]
    heading = f"### {name.upper()}\n\n{annotation.__doc__.strip()}\n\n" if annotation else ""
    rows = [(f"`{entry.name}`", entry.description, entry.allowed, code(entry.default)) for entry in entries]
    return heading + table(("setting", "meaning", "allowed", "default"), rows)


def issuer_part() -> str:
    """Write the members of one entry of the list of issuers."""
    issuer: type[BaseModel] = setting_groups.Issuer
    return table(
        ("member", "meaning"), [(code(name), field.description or "") for name, field in issuer.model_fields.items()]
    )


def routes_of(app: Litestar) -> dict[str, str]:
    """Every route as `METHOD /path`, without the names of its parameters, and who may call it."""
    found: dict[str, str] = {}
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for method, handler in route.route_handler_map.items():
                names = [getattr(guard, "__name__", "") for guard in handler[0].resolve_guards()]
                callers = [GUARDS[name] for name in names if name in GUARDS]
                found[f"{method} {_bare(route.path)}"] = callers[-1] if callers else ""
    tails = {f"{each.method.upper()} {_bare(each.path)}": each.tail for each in TAILS}
    return found | {route + tail: found[route] for route, tail in tails.items()}


def _bare(path: str) -> str:
    return re.sub(r"\{[^}]*\}", "{id}", path)


def routes_part() -> str:
    """Write every route of the HTTP interface, by tag."""
    app = create_app(Settings.of())
    callers = routes_of(app)
    anonymous = set(Settings.of().service.anonymous_paths)
    sections: dict[str, list[tuple[str, ...]]] = {}
    for path, method, operation in _operations(app.openapi_schema.to_schema()):
        who = "anyone" if path in anonymous else callers[f"{method} {_bare(path)}"] or "any caller"
        query = [code(each["name"]) for each in operation.get("parameters", []) if each["in"] == "query"]
        sections.setdefault(operation["tags"][0], []).append(
            (f"`{method} {path}`", operation["summary"], who, ", ".join(query))
        )
    head = ("route", "what it does", "who", "query parameters")
    by_path = {tag: sorted(rows, key=_path_first) for tag, rows in sections.items()}
    return "\n\n".join(f"### {tag.capitalize()}\n\n{table(head, rows)}" for tag, rows in by_path.items())


def _path_first(row: Sequence[str]) -> tuple[str, str]:
    method, _, path = row[0].strip("`").partition(" ")
    return path, method


def _operations(schema: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            if isinstance(operation, dict) and "operationId" in operation:
                yield path, method.upper(), operation


def contract_part() -> str:
    """Write each route of the contract with its deviation. Fails where one is not there."""
    have = routes_of(create_app(Settings.of()))
    parts: list[str] = []
    for section, wanted in CONTRACT.items():
        if missing := [route for route in wanted if route not in have]:
            raise SystemExit(f"not there: {', '.join(missing)}")
        rows = [(code(route), deviation) for route, deviation in wanted.items()]
        parts.append(f"**{section}**\n\n{table(('route', 'answered otherwise'), rows)}")
    return "\n\n".join(parts)


def events_part() -> str:
    """Write every event type and where it is seen."""
    marks = {True: "yes", False: "no"}
    rows = [(code(name), marks[name in FEED_TYPES], "yes") for name in sorted(ASSISTANT_TYPES)]
    return table(("event", "on `/events`", "sent to assistants"), rows)


def errors_part() -> str:
    """Write the domain's errors with their codes and statuses."""
    rows = [
        (code(kind.code), str(int(status)), (kind.__doc__ or "").partition("\n")[0])
        for kind, status in sorted(STATUS.items(), key=lambda item: int(item[1]))
    ]
    return table(("code", "status", "default text"), rows)


def exit_codes_part() -> str:
    """Write the exit codes of the command line."""
    names: dict[int, list[str]] = {0: ["done"], 1: ["failed"], EXIT_SETTINGS: ["wrong usage", "wrong setting"]}
    for kind, number in EXIT_CODES.items():
        names.setdefault(number, []).append(kind.code)
    return table(("exit code", "meaning"), [(str(number), ", ".join(names[number])) for number in sorted(names)])


def commands_part() -> str:
    """Write every verb of the command line with its options."""
    return "\n\n".join(_command(main, "workbench", verb) for verb in main.list_commands(click.Context(main)))


def _command(parent: click.Group, path: str, name: str) -> str:
    context = click.Context(parent)
    command = parent.get_command(context, name)
    if command is None:
        raise LookupError(name)
    if isinstance(command, click.Group):
        return "\n\n".join(_command(command, f"{path} {name}", each) for each in command.list_commands(context))
    own = click.Context(command)
    arguments = [parameter.make_metavar(own) for parameter in command.params if isinstance(parameter, click.Argument)]
    usage = " ".join([path, name, *arguments])
    options = [each.get_help_record(own) for each in command.params if isinstance(each, click.Option)]
    rows = [(code(record[0]), " ".join(record[1].split())) for record in options if record is not None]
    text = " ".join((command.help or "").split())
    return f"### {usage}\n\n{text}\n\n" + (table(("option", "meaning"), rows) if rows else "It has no options.")


def tree_part() -> str:
    """Write the tree of packages with the reason of each and the names of its modules."""
    lines = ["```text", *_folder(SOURCE, 0), "```"]
    return "\n".join(lines)


def _folder(folder: Path, depth: int) -> Iterator[str]:
    indent = "  " * depth
    reason = textwrap.wrap(_reason(folder / "__init__.py"), REASON_WIDTH)
    for name, text in zip_longest([f"{indent}{folder.name}/"], reason, fillvalue=""):
        yield f"{name:{NAME_WIDTH}}{text}".rstrip()
    modules = [path.stem for path in sorted(folder.glob("*.py")) if path.name != "__init__.py"]
    for line in textwrap.wrap(", ".join(modules), REASON_WIDTH):
        yield f"{'':{NAME_WIDTH}}| {line}"
    for package in sorted(path.parent for path in folder.glob("*/__init__.py")):
        yield from _folder(package, depth + 1)


def _reason(path: Path) -> str:
    return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n")[0]


def starters() -> list[Playbook]:
    """The playbooks of the package."""
    return [read_playbook(read_document(text, "yaml")).require() for text in starter_texts().values()]


def starters_part() -> str:
    """Write which playbooks come with the package."""
    rows = [(code(each.key), each.title, each.domain or "", str(len(each.nodes))) for each in starters()]
    return table(("key", "title", "domain", "nodes"), rows)


def limits_part() -> str:
    """Write how large a playbook and its parts may be."""
    limits = {
        "text": f"{playbooks.MAX_BYTES >> 10} KiB",
        "depth of mappings and lists": str(playbooks.MAX_DEPTH),
        "nodes": str(playbooks.MAX_NODES),
        "options of a node": str(playbooks.MAX_OPTIONS),
        "inputs": str(playbooks.MAX_INPUTS),
        "phrases, and as many that exclude": str(playbooks.MAX_PHRASES),
        "examples": str(playbooks.MAX_EXAMPLES),
        "prompt, help, summary, reason": f"{playbooks.MAX_PROMPT} characters",
        "label and value": f"{playbooks.MAX_LABEL} characters",
        "hint": f"{playbooks.MAX_HINT} characters",
        "title": f"{playbooks.MAX_TITLE} characters",
        "phrase": f"{playbooks.MAX_PHRASE} characters",
        "example": f"{playbooks.MAX_EXAMPLE} characters",
        "`max_visits`": str(playbooks.MAX_VISITS),
    }
    return table(("what", "at most"), limits.items())


def calibrated() -> list[Measured]:
    """What the playbooks of the package make of the reports that are known."""
    reports = msgspec.json.decode((CALIBRATION / "intakes.json").read_bytes(), type=list[KnownReport])
    return measured(PlaybookIndex(starters()), reports, Thresholds())


def reference_index() -> PlaybookIndex:
    """The ten small playbooks by which the rules were found; only what is matched by matters of them."""
    end = Node(type="escalation", prompt="Nobody comes here")
    return PlaybookIndex(
        Playbook(
            key=each["key"],
            title=each["title"],
            domain=None,
            inputs=(),
            match=Trigger(phrases=tuple(each["phrases"]), examples=tuple(each["examples"])),
            start="end",
            nodes={"end": end},
        )
        for each in reference()["playbooks"]
    )


def reference() -> dict[str, Any]:
    """The reports by which the rules were found."""
    return json.loads((CALIBRATION / "reference.json").read_text(encoding="utf-8"))


def reference_part() -> str:
    """Write what the rules make of the reports by which they were found, alone and within a letter."""
    data = reference()
    rows: list[tuple[str, ...]] = []
    for name, letter in {"alone": "{sentence}", "within an e-mail": data["letter"]}.items():
        meant = [
            KnownReport(text=letter.format(sentence=one["text"]), expected=one["expected"]) for one in data["matching"]
        ]
        foreign = [KnownReport(text=letter.format(sentence=text), expected=None) for text in data["foreign"]]
        found = measured(reference_index(), meant, Thresholds())
        others = measured(reference_index(), foreign, Thresholds())
        counts = Counter(one.verdict for one in found)
        shown = (counts["run"], counts["offered"], counts["missed"], counts["wrong"], len(found))
        rows.append((name, *map(str, shown), f"{max(one.score for one in others):.2f}"))
    head = ("the report stands", "run", "offered", "missed", "wrong", "of", "best score of those that mean none")
    return table(head, rows)


def calibration_part() -> str:
    """Write how many reports were met, by half and language."""
    groups: dict[str, list[Measured]] = {}
    for one in calibrated():
        other = one.report.language != "en"
        group = f"{one.report.set.replace('_', ' ')}, {'other languages' if other else 'English'}"
        groups.setdefault(group, []).append(one)
    rows: list[tuple[str, ...]] = []
    for name, members in groups.items():
        counts = Counter(one.verdict for one in members)
        rows.append((name, *(str(counts[verdict]) for verdict in VERDICTS), str(len(members))))
    return table(("half", *VERDICTS, "reports"), rows) + (
        "\n\n*run* and *offered*: the right playbook. *missed*: nothing to go by. *wrong*: others were run or offered. "
        "*quiet* and *disturbed*: of the reports that mean no playbook, those that found none and those that did."
    )


def confusion_part() -> str:
    """Write which playbook was found for which was meant."""
    found = Counter((one.report.expected or "", one.found or "") for one in calibrated())
    keys = [*starter_texts(), ""]
    shown = {key: key or "none" for key in keys}
    head = ("meant", *(f"{number}" for number in range(1, len(keys))), "none")
    rows = [
        (f"{number}. {shown[meant]}" if meant else "none", *(str(found[meant, key] or "·") for key in keys))
        for number, meant in enumerate(keys, 1)
    ]
    return table(head, rows)


def confused_part() -> str:
    """Write the reports that were not met."""
    rows = [
        (one.report.text, one.report.expected or "none", one.found or "none", f"{one.score:.2f}")
        for one in calibrated()
        if one.verdict not in {"run", "offered", "quiet"}
    ]
    return table(("reports that were not met", "meant", "found", "score"), rows)


PARTS: dict[str, dict[str, Callable[[], str]]] = {
    "reference/settings.md": {"settings": settings_part, "issuer": issuer_part},
    "reference/http-routes.md": {"routes": routes_part, "contract": contract_part},
    "reference/events.md": {"events": events_part},
    "reference/playbooks.md": {"limits": limits_part, "starters": starters_part},
    "reference/errors.md": {"errors": errors_part},
    "explanation/architecture.md": {"tree": tree_part},
    "explanation/matching.md": {
        "reference-figures": reference_part,
        "calibration-figures": calibration_part,
        "confusion": confusion_part,
        "confusion-list": confused_part,
    },
    "reference/command-line.md": {"commands": commands_part, "exit-codes": exit_codes_part},
}


def renewed(page: str, text: str) -> str:
    """Give the page's text with its generated parts as they should be."""
    for name, make in PARTS[page].items():
        begin, end = f"<!-- generated: {name} -->", f"<!-- end: {name} -->"
        before, found, rest = text.partition(begin)
        _, closed, after = rest.partition(end)
        if not (found and closed):
            raise ValueError(f"{page} has no place for {name}")
        text = f"{before}{begin}\n\n{make()}\n\n{end}{after}"
    return text


def stale_pages() -> dict[str, str]:
    """The pages that are not as they should be, with their right text."""
    texts = {page: (DOCS / page).read_text(encoding="utf-8") for page in PARTS}
    wanted = {page: renewed(page, text) for page, text in texts.items()}
    return {page: text for page, text in wanted.items() if text != texts[page]}


def write(*, check: bool) -> int:
    """Write stale pages, or only name them; the exit code."""
    stale = stale_pages()
    for page, text in stale.items():
        if not check:
            (DOCS / page).write_text(text, encoding="utf-8")
        sys.stdout.write(f"docs/{page} {'is stale' if check else 'written'}\n")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(write(check="--check" in sys.argv[1:]))
