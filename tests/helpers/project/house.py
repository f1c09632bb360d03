"""The package as a graph of modules: who imports whom, read from the source without running it."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PACKAGE = "nnunet_hetero"
TREES = {PACKAGE: ROOT / PACKAGE, f"{PACKAGE}.dataset_conversion": ROOT / "dataset_conversion"}
"""Where the source of each import path lies."""

COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


@dataclass(frozen=True)
class Module:
    """One file of the package.

    Args:
        name: As it is imported.
        file: Its source.
    """

    name: str
    file: Path

    @cached_property
    def tree(self) -> ast.Module:
        """The parsed source."""
        return ast.parse(self.file.read_text(encoding="utf-8"))

    @property
    def lines(self) -> int:
        """Length of the file."""
        return len(self.file.read_text(encoding="utf-8").splitlines())

    @property
    def place(self) -> str:
        """The file as the repository knows it, e.g. ``nnunet_hetero/io/tables.py``."""
        return self.file.relative_to(ROOT).as_posix()

    @property
    def is_door(self) -> bool:
        """Whether it is a folder's ``__init__.py``."""
        return self.file.name == "__init__.py"

    @property
    def room(self) -> str:
        """The folder inside the package, e.g. ``evaluation.sweep``; a module that lies in none is its own room."""
        parts = self.name.split(".")[1:]
        return ".".join(parts if self.is_door or len(parts) < 2 else parts[:-1])

    @property
    def mirror(self) -> Path:
        """Where its tests belong."""
        folder = self.file.relative_to(TREES[PACKAGE] if self.name.split(".")[1:2] != ["dataset_conversion"] else ROOT)
        return ROOT / "tests" / folder.parent / f"test_{self.file.stem}.py"

    def imports(self) -> Iterator[tuple[str, str]]:
        """Module and name of each import, wherever in the file; the name is empty for ``import module``."""
        package = self.name if self.is_door else self.name.rpartition(".")[0]
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((alias.name, "") for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
                source = ".".join([*above, *([node.module] if node.module else [])])
                yield from ((source, alias.name) for alias in node.names)


def read_modules() -> dict[str, Module]:
    """Every module of the package by its name."""
    modules = {}
    for prefix, folder in TREES.items():
        for file in sorted(folder.rglob("*.py")):
            parts = [prefix, *file.relative_to(folder).with_suffix("").parts]
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            modules[name] = Module(name, file)
    return modules


def import_graph(modules: Mapping[str, Module]) -> dict[str, set[str]]:
    """The modules of the package that each of them imports, at the top or later, for types or to run.

    The package itself is left out: it is the door, which opens lazily.
    """
    graph: dict[str, set[str]] = {}
    for name, module in modules.items():
        graph[name] = set()
        for source, what in module.imports():
            target = f"{source}.{what}" if f"{source}.{what}" in modules else source
            if target in modules and target not in (name, PACKAGE):
                graph[name].add(target)
    del graph[PACKAGE]
    return graph


def room_graph(modules: Mapping[str, Module], graph: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """The same between rooms."""
    rooms: dict[str, set[str]] = {}
    for name, targets in graph.items():
        own = rooms.setdefault(modules[name].room, set())
        own |= {modules[target].room for target in targets} - {modules[name].room}
    return rooms


def circles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """The groups of nodes from each of which a way leads to all others of the group, sorted."""
    reached = {node: _reachable(graph, node) for node in graph}
    found = {tuple(sorted(other for other in reached[node] if node in reached[other])) for node in graph}
    return sorted(list(group) for group in found if len(group) > 1)


def _reachable(graph: Mapping[str, set[str]], start: str) -> set[str]:
    seen: set[str] = set()
    todo = [start]
    while todo:
        for target in graph[todo.pop()]:
            if target not in seen:
                seen.add(target)
                todo.append(target)
    return seen


def nested_comprehensions(module: Module) -> list[int]:
    """Lines of comprehensions inside another one, and of those with more than one ``for``."""
    lines = []
    for outer in ast.walk(module.tree):
        if isinstance(outer, COMPREHENSIONS):
            if len(outer.generators) > 1:
                lines.append(outer.lineno)
            inside = (node for node in ast.walk(outer) if node is not outer)
            lines += [node.lineno for node in inside if isinstance(node, COMPREHENSIONS)]
    return sorted(set(lines))


def private_definitions(trees: Iterable[ast.Module]) -> set[str]:
    """Names with a leading underscore that these sources define: functions, classes, attributes of objects."""
    names: set[str] = set()
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                names.add(node.name)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                names.add(node.attr)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                names.add(node.id)
    return {name for name in names if name.startswith("_") and not name.startswith("__")}


def private_uses(module: Module) -> set[str]:
    """Names with a leading underscore that a module takes from an object or another module."""
    names = {what for _, what in module.imports()}
    names |= {node.attr for node in ast.walk(module.tree) if isinstance(node, ast.Attribute)}
    return {name for name in names if name.startswith("_") and not name.startswith("__")}
