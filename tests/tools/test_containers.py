"""The recipes of containers, as far as they can be read: who runs in them, what starts, and that both install alike."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def recipe() -> list[tuple[str, str]]:
    """The Dockerfile, as `tools/container_steps.py` reads it."""
    specification = importlib.util.spec_from_file_location("container_steps", ROOT / "tools" / "container_steps.py")
    steps = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(steps)
    return steps.instructions(steps.DOCKERFILE.read_text(encoding="utf-8"))


def test_it_runs_the_command_without_rights(recipe):
    last = dict(recipe)
    assert last["USER"] == "1000"
    assert json.loads(last["ENTRYPOINT"]) == ["nnunet_hetero"] and json.loads(last["CMD"]) == ["doctor"]
    names = [name for name, _ in recipe]
    assert names.index("USER") > names.index("RUN")


def test_both_recipes_begin_and_install_alike(recipe):
    definition = (ROOT / "containers" / "nnunet_hetero.def").read_text(encoding="utf-8")
    docker = dict(recipe)
    assert f"From: {docker['FROM']}" in definition
    installing = re.findall(r"/opt/nnunet_hetero/bin/(?:pip install [\w -]*/src|nnunet_hetero activate)", docker["RUN"])
    assert len(installing) == 2 and all(command in definition for command in installing)
    variables = re.findall(r"(\w+)=", docker["ENV"])
    assert variables and all(f"export {name}=" in definition for name in variables)
