"""The house: what stands on what, how large a room and a file may be, and that tests stand where one looks for them."""

from __future__ import annotations

import ast
import importlib.util
import re
import statistics
from collections import Counter
from pathlib import Path

import pytest
from helpers.project.house import (
    PACKAGE,
    ROOT,
    Module,
    circles,
    import_graph,
    nested_comprehensions,
    private_definitions,
    private_uses,
    read_modules,
    room_graph,
)

FLOORS = (
    ("version", "errors", "extensions", "registry", "setting_rules", "config", "modalities", "subset_sampling"),
    ("io", "nnunet", "cases"),
    ("network", "fill_gaps", "reorient", "splits", "reliability", "dataset_conversion"),
    ("training", "inference"),
    ("evaluation", "calibration", "planning", "viewer", "intake"),
    ("integration",),
    ("cluster",),
    ("cli", "demo"),
    ("__main__",),
)
"""From the ground up. A room may import from its own floor and those below; rooms inside a room share its floor."""

LARGEST_ROOM, LONGEST_FILE, MEDIAN_FILE = 15, 400, 150
DOORS = ("__init__.py", "conftest.py")
"""Files that a room has beside what is in it."""

OVERRIDES = (
    "nnunet_hetero/training/continuable_trainer.py",
    "nnunet_hetero/training/hetero_trainer.py",
    "nnunet_hetero/inference/predictor.py",
)
"""Beside `nnunet/`, the files whose classes override nnU-Net's own, private names included."""

TREES = ("nnunet_hetero", "dataset_conversion", "tests", "benchmarks", "tools")
SOURCES = sorted(file for tree in TREES for file in (ROOT / tree).rglob("*.py"))
HELPERS = ROOT / "tests" / "helpers"
MODULES = read_modules()
GRAPH = import_graph(MODULES)
ROOMS = room_graph(MODULES, GRAPH)


def floor_of(room: str) -> int:
    (number,) = (number for number, rooms in enumerate(FLOORS) if room.split(".")[0] in rooms)
    return number


def test_every_room_has_one_floor():
    tops = {room.split(".")[0] for room in ROOMS}
    listed = [room for rooms in FLOORS for room in rooms]
    assert sorted(tops) == sorted(listed)


def test_nothing_imports_upwards():
    upwards = [
        f"{room} -> {target}"
        for room, targets in ROOMS.items()
        for target in targets
        if floor_of(target) > floor_of(room)
    ]
    assert not upwards


def test_no_circles():
    """Imports for types, and those within functions, count like any other."""
    assert not circles(GRAPH)
    assert not circles(ROOMS)


def test_a_room_can_be_overlooked():
    sizes = Counter(file.parent.relative_to(ROOT).as_posix() for file in SOURCES if file.name not in DOORS)
    del sizes["benchmarks"]  # a list of commands, see below
    assert not {room: size for room, size in sizes.items() if size > LARGEST_ROOM}


def test_benchmarks_are_commands_and_what_they_share_has_rooms():
    """Each is named in the documentation by its file, which stays where it is."""
    page = (ROOT / "docs" / "reference" / "benchmarks.md").read_text(encoding="utf-8")
    commands = {file for file in SOURCES if file.parent == ROOT / "benchmarks"}
    assert not {file.name for file in commands if "__main__" not in file.read_text(encoding="utf-8")}
    assert re.findall(r"^\| `python benchmarks/(\w+\.py)", page, re.MULTILINE) == sorted(file.name for file in commands)


def test_files_are_short():
    lengths = {file.relative_to(ROOT).as_posix(): file.read_text(encoding="utf-8").count("\n") for file in SOURCES}
    assert not {file: length for file, length in lengths.items() if length > LONGEST_FILE}
    assert statistics.median(module.lines for module in MODULES.values() if not module.is_door) <= MEDIAN_FILE


def test_where_to_change_something_is_a_place():
    """The table of CONTRIBUTING.md: paths from the repository, or from the package or the first one's folder."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = text.split("## Where do I change ...")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("|")][2:]
    assert len(rows) >= 12
    for row in rows:
        named = [name for name in re.findall(r"`([^`]+)`", row.split("|")[2]) if re.search(r"/|\.py$", name)]
        first = ROOT / named[0]
        assert first.exists(), row
        for name in named[1:]:
            assert any((place / name).exists() for place in (ROOT, ROOT / PACKAGE, first.parent)), name


def test_helpers_are_where_tests_look_for_them():
    """And there is none that nobody uses."""
    helpers = [file for file in SOURCES if file.is_relative_to(HELPERS) and file.name not in DOORS]
    there = {f"helpers.{'.'.join(file.relative_to(HELPERS).with_suffix('').parts)}" for file in helpers}
    found = re.compile(r"^ *from (helpers[.\w]*) import", re.MULTILINE)
    used = {name for file in SOURCES for name in found.findall(file.read_text(encoding="utf-8"))}
    assert used == there


def test_private_names_of_nnunet_stay_in_its_room():
    """What nnU-Net may change without a word is touched in one place."""
    (folder,) = importlib.util.find_spec("nnunetv2").submodule_search_locations
    theirs = private_definitions(ast.parse(file.read_text(encoding="utf-8")) for file in Path(folder).rglob("*.py"))
    assert "_internal_predict_sliding_window_return_logits" in theirs
    found = {
        module.place: private_uses(module) & theirs
        for module in MODULES.values()
        if module.room != "nnunet" and module.place not in OVERRIDES
    }
    assert not {place: names for place, names in found.items() if names}


def test_private_names_of_ours_stay_in_their_module():
    crossed = []
    for module in MODULES.values():
        names = [name for source, name in module.imports() if source.startswith(PACKAGE)]
        crossed += [f"{module.place}: {name}" for name in names if name.startswith("_") and not name.endswith("__")]
    assert not crossed


WITHOUT_MIRROR = {
    "nnunet_hetero/version.py": "one number",
    "dataset_conversion/bids_layout.py": "with its converter, test_bids.py and test_bids_names.py",
    "dataset_conversion/brats_releases.py": "names and labels of each release, test_brats_layout.py",
    "dataset_conversion/phantom_anatomy.py": "a part of the phantom, test_phantom.py and test_phantom_contrast.py",
    "dataset_conversion/phantom_signal.py": "a part of the phantom, test_phantom.py and test_phantom_contrast.py",
    "nnunet_hetero/demo/result.py": "the end of the demo, which demo/test_chain.py runs whole",
    "nnunet_hetero/demo/sections.py": "the end of the demo, which demo/test_chain.py runs whole",
    "nnunet_hetero/errors.py": "classes without a body",
    "nnunet_hetero/evaluation/report/comparison_report.py": "cli/results/test_compare.py runs it whole",
    "nnunet_hetero/nnunet/protocols.py": "classes without a body",
    "nnunet_hetero/training/memory.py": "against what a step takes, benchmarks/measuring/test_memory_estimate.py",
}
"""Modules whose tests stand elsewhere, and why."""


def test_tests_mirror_modules():
    """Whoever changes a module finds its tests at the same place in ``tests/``."""
    used = {target for targets in GRAPH.values() for target in targets}
    modules = [module for name, module in MODULES.items() if name in used and not module.is_door]
    without = {module.place for module in modules if not module.mirror.is_file()}
    assert without == WITHOUT_MIRROR.keys()


def test_comprehensions_have_one_level():
    """One ``for``, and no comprehension inside: beyond that a loop or a named function reads better."""
    found = {module.place: nested_comprehensions(module) for module in MODULES.values()}
    assert not {place: lines for place, lines in found.items() if lines}


class TestReading:
    """The reading itself, on sources written here."""

    @pytest.fixture
    def module(self, tmp_path):
        def write(text: str, name: str = f"{PACKAGE}.room.inner.file") -> Module:
            file = tmp_path / "file.py"
            file.write_text(text, encoding="utf-8")
            return Module(name, file)

        return write

    def test_imports_of_every_kind(self, module):
        found = module(
            "import a.b\nfrom a import c\nfrom .d import e\nfrom ..f import g\nfrom .. import h\n"
            "if TYPE_CHECKING:\n    from i import j\ndef k():\n    from l import m\n"
        ).imports()
        package = f"{PACKAGE}.room"
        assert sorted(found) == sorted(
            [
                ("a.b", ""),
                ("a", "c"),
                (f"{package}.inner.d", "e"),
                (f"{package}.f", "g"),
                (package, "h"),
                ("i", "j"),
                ("l", "m"),
            ]
        )

    def test_circles(self):
        graph = {"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a", "e"}, "e": {"d"}, "f": {"a"}}
        assert circles(graph) == [["a", "b", "c"], ["d", "e"]]
        assert circles({"a": {"b"}, "b": set()}) == []

    @pytest.mark.parametrize(
        ("text", "lines"),
        [
            ("[a for a in b]\n[c for c in d]", []),
            ("x = 1\n[[a for a in b] for b in c]", [2]),
            ("{a: sum(b for b in a) for a in c}", [1]),
            ("[a for b in c for a in b]", [1]),
            ("for a in b:\n    [c for c in a]", []),
        ],
    )
    def test_nested_comprehensions(self, module, text, lines):
        assert nested_comprehensions(module(text)) == lines

    def test_private_names(self, module):
        source = module("class A:\n    def _b(self): self._c = 1\n    def __init__(self): d()\n_e = 2")
        assert private_definitions([source.tree]) == {"_b", "_c", "_e"}
        assert private_uses(module("from x import _f, g\nh._i.j(__k)")) == {"_f", "_i"}
