"""Reads YAML and JSON into texts, lists and mappings, and guesses no types (7.6).

What makes YAML dangerous or ambiguous is refused: aliases, by which a few lines become gigabytes; tags, which make
objects; keys that stand twice, of which the last would win; and a second document, which nobody would see.
"""

import json
from collections.abc import Iterator
from typing import Any, Literal, cast

import yaml

from workbench.domain.errors import TooLargeError
from workbench.domain.playbooks.fields import Tree
from workbench.domain.playbooks.findings import Findings, invalid_playbook
from workbench.domain.playbooks.model import MAX_BYTES, MAX_DEPTH
from workbench.domain.texts import cleaned_text

Format = Literal["yaml", "json"]

# Written in C; one in Python stands in where the library was built without it.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_document(text: bytes, written_as: Format) -> Tree:
    """The document of a text in UTF-8.

    Raises TooLargeError `too_large`, and UnprocessableError `invalid_playbook` with its findings, whose paths are places
    such as `line 3, column 5`.
    """
    if len(text) > MAX_BYTES:
        raise TooLargeError(
            f"A playbook is limited to {MAX_BYTES} bytes", field="playbook", extra={"limit_bytes": MAX_BYTES}
        )
    findings = Findings()
    try:
        tree = _tree(text.decode("utf-8-sig"), written_as, findings)
    except UnicodeDecodeError as error:
        findings.error(f"byte {error.start}", "not_utf8", "The text is not UTF-8")
    except RecursionError:
        findings.error("", "too_deep", f"Mappings and lists may lie {MAX_DEPTH} deep in each other")
    else:
        if not findings.has_errors:
            return tree
    raise invalid_playbook(findings.found)


def _tree(text: str, written_as: Format, findings: Findings) -> Tree:
    """Raises RecursionError where it lies too deep."""
    try:
        return _YamlReader(findings).document(text) if written_as == "yaml" else _json(text, findings)
    except yaml.MarkedYAMLError as error:
        problem = ", ".join(part for part in (error.context, error.problem) if part)
        findings.error(_place(error.problem_mark), "not_yaml", f"This is not YAML: {problem}")
    except yaml.YAMLError as error:
        findings.error("", "not_yaml", f"This is not YAML: {' '.join(str(error).split())}")
    except json.JSONDecodeError as error:
        findings.error(f"line {error.lineno}, column {error.colno}", "not_json", f"This is not JSON: {error.msg}")
    return ""


class _YamlReader:
    """Builds the tree from the parser's events, before anything is made of them that could grow."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._events: Iterator[yaml.Event] = iter(())

    def document(self, text: str) -> Tree:
        self._events = cast("Any", yaml).parse(text, Loader=_LOADER)
        tree: Tree = ""
        documents = 0
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._wrong(event, "second_document", "There may be one document only")
                    break
                tree = self._value(next(self._events), 1)
        return tree

    def _value(self, event: yaml.Event, depth: int) -> Tree:
        if isinstance(event, yaml.AliasEvent):
            self._wrong(event, "alias", f"Aliases are not allowed, such as *{event.anchor}")
            return ""
        self._check_decoration(event)
        if isinstance(event, yaml.ScalarEvent):
            return event.value
        if depth > MAX_DEPTH:
            raise RecursionError
        if isinstance(event, yaml.SequenceStartEvent):
            return [self._value(each, depth + 1) for each in self._until(yaml.SequenceEndEvent)]
        return self._mapping(depth)

    def _mapping(self, depth: int) -> Tree:
        members: dict[str, Tree] = {}
        for event in self._until(yaml.MappingEndEvent):
            key = self._value(event, depth + 1)
            value = self._value(next(self._events), depth + 1)
            if not isinstance(key, str):
                self._wrong(event, "key_not_text", "A key must be a text")
            elif key in members:
                self._wrong(event, "duplicate_key", f"The key {key} stands here twice")
            else:
                members[key] = value
        return members

    def _until(self, end: type[yaml.Event]) -> Iterator[yaml.Event]:
        while not isinstance(event := next(self._events), end):
            yield event

    def _check_decoration(self, event: yaml.Event) -> None:
        if getattr(event, "anchor", None):
            self._wrong(event, "anchor", "Anchors are not allowed")
        if getattr(event, "tag", None):
            self._wrong(event, "tag", "Tags are not allowed")

    def _wrong(self, event: yaml.Event, code: str, message: str) -> None:
        self._findings.error(_place(event.start_mark), code, message)


def _place(mark: Any) -> str:
    return f"line {mark.line + 1}, column {mark.column + 1}" if mark else ""


def _json(text: str, findings: Findings) -> Tree:
    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        # What is wrong names keys; so they must be texts that can be told of.
        for key, value in ((cleaned_text(name), value) for name, value in pairs):
            if key in found:
                findings.error(key, "duplicate_key", f"The key {key} stands in one object twice")
            found[key] = value
        return found

    def refused(constant: str) -> str:
        findings.error("", "not_json", f"{constant} is no JSON")
        return ""

    value = json.loads(text, object_pairs_hook=members, parse_int=str, parse_float=str, parse_constant=refused)
    return _texts(value, 1)


def _texts(value: Any, depth: int) -> Tree:
    """Numbers are texts by now, as they were written; what is left are three words."""
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, bool):
        return {None: "", True: "true", False: "false"}[value]
    if depth > MAX_DEPTH:
        raise RecursionError
    if isinstance(value, list):
        return [_texts(each, depth + 1) for each in cast("list[Any]", value)]
    return {key: _texts(each, depth + 1) for key, each in cast("dict[str, Any]", value).items()}
