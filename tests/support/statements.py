"""Finds statements on rows of workspaces that do not keep to one: a walk over the code, without running it.

A statement keeps to its workspace where the expression that makes it says `here(table)`, names the parameter `ws`, or
compares a table's `workspace_id`; by itself, or by a name that stands for such a condition.
"""

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

MAKERS = frozenset({"select", "update", "delete", "insert", "exists", "text", "exec_driver_sql"})
CARRIERS = frozenset({"_writes", "writes"})
"""What inserts with the block's workspace."""
ANY_TABLE = frozenset({"table", "_table"})
"""Names of whatever table is given."""
FOREIGN = frozenset({"semantic_workbench.tables"})
"""What declares tables of somebody else's database."""
SAYS_WHERE = re.compile(r":(?:ws|workspace_id)\b")
Key = tuple[str, str]


class Found(NamedTuple):
    """A statement that keeps to no workspace: its place, as the registry has it, and its line."""

    place: str
    line: int


class Module:
    """A file, and what the names in it stand for."""

    def __init__(self, name: str, source: str) -> None:
        self.name = name
        self.tree = ast.parse(source)
        self.tables = {known for known, value in self._assigned() if makes_tenant_table(value)}
        self.imports: dict[str, Key] = {}
        self.aliases: dict[str, str] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("workbench.adapters"):
                self._import(node)

    def _assigned(self) -> Iterator[tuple[str, ast.expr]]:
        for node in self.tree.body:
            yield from assignments(node)

    def _import(self, node: ast.ImportFrom) -> None:
        room = short(node.module or "")
        for each in node.names:
            known = each.asname or each.name
            self.imports[known] = (room, each.name)
            self.aliases[known] = f"{room}.{each.name}".removeprefix("sql.") if room != "sql" else each.name

    def names(self, node: ast.AST) -> set[str]:
        """Every name that is used in it."""
        return {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}

    def units(self) -> Iterator[tuple[str, ast.AST]]:
        """What stands at the top, and each method by itself."""
        for node in self.tree.body:
            if isinstance(node, ast.ClassDef):
                for inner in node.body:
                    if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef):
                        yield f"{node.name}.{inner.name}", inner
                    else:
                        yield node.name, inner
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node.name, node
            else:
                known = next((name for name, _ in assignments(node)), "")
                yield known, node


class Code:
    """The files of some folders, and what is unscoped in them."""

    def __init__(self, modules: Iterable[Module]) -> None:
        self.modules = {module.name: module for module in modules}
        self.tenants: set[Key] = {(module.name, name) for module in self.modules.values() for name in module.tables}
        self.scoped: set[Key] = set()
        self._spread()

    @classmethod
    def of(cls, root: Path, *folders: str) -> "Code":
        """Read the folders below `root`, the package's."""
        files = sorted(path for folder in folders for path in (root / folder).rglob("*.py"))
        names = {path: short("workbench." + ".".join(path.relative_to(root).with_suffix("").parts)) for path in files}
        return cls(Module(names[path], path.read_text(encoding="utf-8")) for path in files)

    def table_names(self) -> set[str]:
        """The tenant tables that are declared, by the names that code has for them."""
        return {name for module in self.modules.values() for name in module.tables}

    def unscoped(self) -> list[Found]:
        """Every statement that touches a tenant table and keeps to no workspace."""
        found: set[Found] = set()
        for module in self.modules.values():
            for unit, node in module.units():
                tainted, scoped = self._locals(module, node)
                for root, call in statements(node):
                    if self._touches(module, root, call, tainted) and not self._keeps(module, root, scoped):
                        found.add(Found(f"{module.name}:{unit}", call.lineno))
        return sorted(found)

    def _spread(self) -> None:
        """Follow names until nothing new is found."""
        size = -1
        while size != len(self.scoped) + len(self.tenants):
            size = len(self.scoped) + len(self.tenants)
            for module in self.modules.values():
                for unit, node in module.units():
                    known = (module.name, unit.rpartition(".")[2])
                    if self._keeps(module, node, set()):
                        self.scoped.add(known)
                    if is_constant(node) and module.name not in FOREIGN and self._names(module, node, set()):
                        self.tenants.add(known)

    def _locals(self, module: Module, unit: ast.AST) -> tuple[set[str], set[str]]:
        """The local names that stand for tenant tables, and those that stand for conditions on a workspace."""
        tainted: set[str] = set()
        scoped: set[str] = set()
        for _ in range(3):
            for node in ast.walk(unit):
                for name, value in assignments(node) if isinstance(node, ast.stmt) else ():
                    if self._names(module, value, tainted):
                        tainted.add(name)
                    if self._keeps(module, value, scoped):
                        scoped.add(name)
        return tainted, scoped

    def _touches(self, module: Module, root: ast.AST, call: ast.Call, tainted: set[str]) -> bool:
        if name_of(call) in {"text", "exec_driver_sql"}:
            return bool(self._words(call) & self.table_names())
        return self._names(module, root, tainted)

    def _words(self, call: ast.Call) -> set[str]:
        return set(re.findall(r"\w+", " ".join(texts(call))))

    def _names(self, module: Module, node: ast.AST, tainted: set[str]) -> bool:
        """Whether it names a tenant table, or whatever table is given."""
        for inner in ast.walk(node):
            if isinstance(inner, ast.Name):
                if inner.id in tainted or inner.id in ANY_TABLE or self._key(module, inner.id) in self.tenants:
                    return True
            elif isinstance(inner, ast.Attribute) and (
                inner.attr in ANY_TABLE
                or (isinstance(inner.value, ast.Name) and self._member(module, inner) in self.tenants)
            ):
                return True
        return False

    def _member(self, module: Module, node: ast.Attribute) -> Key:
        owner = node.value.id if isinstance(node.value, ast.Name) else ""
        return (module.aliases.get(owner, owner), node.attr)

    def _key(self, module: Module, name: str) -> Key:
        return module.imports.get(name, (module.name, name))

    def _keeps(self, module: Module, node: ast.AST, scoped: set[str]) -> bool:
        return any(self._says_where(module, inner, scoped) for inner in ast.walk(node))

    def _says_where(self, module: Module, node: ast.AST, scoped: set[str]) -> bool:
        match node:
            case ast.Name(name):
                key = self._key(module, name)
                return name in {"here", "WORKSPACE"} or name in scoped or key in self.scoped
            case ast.Attribute(ast.Name("self"), name):
                return (module.name, name) in self.scoped
            case ast.Call(ast.Name("bindparam"), [ast.Constant("ws"), *_]):
                return True
            case ast.Compare(ast.Attribute(_, "workspace_id"), [ast.Eq()]):
                return True
            case ast.Call(ast.Name("text") | ast.Attribute(_, "exec_driver_sql")):
                return bool(SAYS_WHERE.search(" ".join(texts(node))))
        return False


def is_constant(unit: ast.AST) -> bool:
    """Whether it is no function, nor part of a class."""
    return isinstance(unit, ast.Assign | ast.AnnAssign)


def short(module: str) -> str:
    """A module's name without what all of them have in common."""
    return module.removeprefix("workbench.").removeprefix("adapters.").removeprefix("sql.")


def makes_tenant_table(value: ast.expr) -> bool:
    """Whether a table is declared whose rows belong to workspaces."""
    match value:
        case ast.Call(ast.Name("Table"), arguments):
            return any(isinstance(each, ast.Call) and name_of(each) == "workspace_column" for each in arguments)
    return False


def assignments(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """The names that a statement gives a value."""
    match node:
        case ast.Assign(targets, value):
            for target in targets:
                names = target.elts if isinstance(target, ast.Tuple) else [target]
                yield from ((name.id, value) for name in names if isinstance(name, ast.Name))
        case ast.AnnAssign(ast.Name(name), _, ast.expr() as value):
            yield name, value


def statements(unit: ast.AST) -> Iterator[tuple[ast.AST, ast.Call]]:
    """The calls that make statements, each with the whole expression that it stands in."""
    for statement in (node for node in ast.walk(unit) if isinstance(node, ast.stmt)):
        for root in expressions(statement):
            for node in ast.walk(root):
                if isinstance(node, ast.Call) and makes_statement(node):
                    yield root, node


def expressions(statement: ast.stmt) -> Iterator[ast.expr]:
    """A statement's own expressions, not those of statements inside it."""
    for child in ast.iter_child_nodes(statement):
        if isinstance(child, ast.expr):
            yield child
        elif isinstance(child, ast.withitem):
            yield child.context_expr


def makes_statement(call: ast.Call) -> bool:
    """Whether a call makes a statement, or looks an object up by its key."""
    if isinstance(call.func, ast.Attribute):
        owner = name_of(call.func.value)
        if call.func.attr == "get":
            return "session" in owner or owner.removeprefix("_") == "db"
        known = call.func.attr in {"insert", "exec_driver_sql"} or owner in {"postgresql", "sqlite", "sqlalchemy"}
        return known and call.func.attr in MAKERS and owner not in CARRIERS
    return name_of(call) in MAKERS


def name_of(node: ast.AST) -> str:
    """The last word of a name."""
    match node:
        case ast.Call(func):
            return name_of(func)
        case ast.Attribute(_, name) | ast.Name(name):
            return name
    return ""


def texts(node: ast.AST) -> Iterator[str]:
    """The texts in an expression."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Constant) and isinstance(inner.value, str):
            yield inner.value
