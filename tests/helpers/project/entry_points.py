"""A package of somebody else, installed as far as Python sees."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path


def installed_package(root: Path, monkeypatch, name: str, source: str, groups: Mapping[str, Mapping[str, str]]) -> None:
    """Write a module and the metadata with its entry points, and let this process find both.

    Args:
        root: An empty folder.
        monkeypatch: pytest's; with it the package goes again.
        name: Of module and package.
        source: The module's text.
        groups: Objects (``module:attribute``) by entry point, by group.
    """
    (root / f"{name}.py").write_text(source, encoding="utf-8")
    metadata = root / f"{name}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", encoding="utf-8")
    lines = []
    for group, entries in groups.items():
        lines.append(f"[{group}]")
        lines += [f"{entry} = {target}" for entry, target in entries.items()]
    (metadata / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")
    monkeypatch.syspath_prepend(str(root))
    monkeypatch.delitem(sys.modules, name, raising=False)
