"""Installation as users do it: regular and editable, with pip and with uv; then activation in fresh interpreters."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import pytest
from helpers.project.environments import Environment, copy_sources, install, make_environment, uninstall

# Stands in for nnU-Net where a test is about our hook, because the real one takes ten seconds to import.
STAND_IN = """
import sys

class nnUNetPredictor:
    pass

def predict_entry_point():
    print(sys.argv[1:], nnUNetPredictor.__module__)
"""
STAND_IN_SETUP = """
from setuptools import setup

setup(
    name="nnunetv2",
    version="2.8.1",
    packages=["nnunetv2", "nnunetv2.inference"],
    entry_points={"console_scripts": ["nnUNetv2_predict=nnunetv2.inference.predict_from_raw_data:predict_entry_point"]},
)
"""

STARTED = """
import json, os, sys
print(json.dumps({
    "variable": os.environ.get("nnUNet_extTrainer"),
    "heavy": [name for name in ("torch", "numpy", "argparse", "nnunetv2") if name in sys.modules],
    "finders": sum(type(finder).__module__.startswith("nnunet_hetero") for finder in sys.meta_path),
}))
"""


@dataclass(frozen=True)
class Installation:
    """An environment with nnunet_hetero in it."""

    environment: Environment
    sources: Path
    tool: str
    editable: bool

    @property
    def package(self) -> Path:
        """Where the package's files are."""
        return (self.sources if self.editable else self.environment.site_packages) / "nnunet_hetero"

    @property
    def trainer_folder(self) -> str:
        """What nnUNet_extTrainer must hold."""
        return str(self.package / "integration" / "trainer_folder")


@pytest.fixture(
    scope="module",
    params=[("pip", False), ("pip", True), ("uv pip", False), ("uv pip", True)],
    ids=["pip", "pip-editable", "uv", "uv-editable"],
)
def installation(request, tmp_path_factory):
    tool, editable = request.param
    folder = tmp_path_factory.mktemp("installation")
    environment, sources = make_environment(folder / "venv", without=("nnunetv2",)), copy_sources(folder / "sources")
    install(environment, sources, tool, editable)
    return Installation(environment, sources, tool, editable)


def test_what_is_installed_works(installation):
    environment = installation.environment
    assert environment.must_run("nnunet_hetero", "--version").startswith("nnunet_hetero 0.")
    assert environment.must_run("nnunet_hetero", "env") == f"export nnUNet_extTrainer={installation.trainer_folder}\n"
    modules = [path.name for path in Path(installation.trainer_folder).iterdir() if path.name != "__pycache__"]
    assert modules == ["nnunet_hetero_trainers.py"], "nnU-Net imports every module of this folder"
    # The converters: inside the package, by the command, and as a script of the repository.
    environment.must_run("python", "-c", "import nnunet_hetero.dataset_conversion.brats")
    for command in (
        ("nnunet_hetero", "convert", "brats"),
        ("python", installation.sources / "dataset_conversion" / "brats.py"),
    ):
        assert "--input" in environment.must_run(*command, "--help")


def test_activation_life_cycle(installation):
    environment = installation.environment
    before = environment.listing()
    assert json.loads(environment.must_run("python", "-c", STARTED)) == {"variable": None, "heavy": [], "finders": 0}

    printed = environment.must_run("nnunet_hetero", "activate")
    new = {str(path) for path in environment.listing() - before if path.name != "__pycache__"}
    assert new and all(f"wrote {path}\n" in printed for path in new)
    again = environment.must_run("nnunet_hetero", "activate")
    assert "already active" in again and "wrote" not in again

    started = json.loads(environment.must_run("python", "-c", STARTED))
    assert started == {"variable": installation.trainer_folder, "heavy": [], "finders": 1}
    # What the user had stays, in front of ours; a value that names us already is left alone.
    for had, holds in (
        (os.pathsep.join(["/mine", "/yours"]), os.pathsep.join(["/mine", "/yours", installation.trainer_folder])),
        (os.pathsep.join([installation.trainer_folder, "/mine"]), None),
    ):
        started = json.loads(environment.must_run("python", "-c", STARTED, nnUNet_extTrainer=had))
        assert started["variable"] == (holds or had)

    printed = environment.must_run("nnunet_hetero", "deactivate")
    assert all(f"removed {path}\n" in printed for path in new)
    assert environment.listing() == before
    assert "nothing removed" in environment.must_run("nnunet_hetero", "deactivate")
    assert json.loads(environment.must_run("python", "-c", STARTED))["variable"] is None


def test_hook_in_a_fresh_interpreter_and_after_uninstalling(installation, tmp_path):
    environment = installation.environment
    # nnU-Net is installed the way we are: regular or editable, by the same tool.
    project = tmp_path / "nnunetv2"
    (project / "nnunetv2" / "inference").mkdir(parents=True)
    (project / "setup.py").write_text(STAND_IN_SETUP)
    (project / "nnunetv2" / "__init__.py").touch()
    (project / "nnunetv2" / "inference" / "__init__.py").touch()
    (project / "nnunetv2" / "inference" / "predict_from_raw_data.py").write_text(STAND_IN)
    install(environment, project, installation.tool, installation.editable)
    arguments = ("-i", "IN", "-f", "0", "1", "all", "-o", "OUT")
    untouched = f"{list(arguments)} nnunetv2.inference.predict_from_raw_data\n"

    environment.must_run("nnunet_hetero", "activate")
    assert environment.must_run("nnUNetv2_predict", *arguments) == untouched
    refused = environment.run("nnUNetv2_predict", *arguments, "--missing", "T1")
    assert refused.returncode == 1 and refused.stdout == ""
    assert (
        refused.stderr.startswith("error: ") and "'nnUNetTrainer'" in refused.stderr and "--missing" in refused.stderr
    )

    # Last, because it ends the installation: the start-up file stays behind, and nobody may notice.
    uninstall(environment, installation.tool)
    assert environment.run("python", "-c", "import nnunet_hetero").returncode != 0
    started = json.loads(environment.must_run("python", "-c", STARTED))
    assert started == {"variable": None, "heavy": [], "finders": 0}
    assert environment.must_run("nnUNetv2_predict", *arguments) == untouched
