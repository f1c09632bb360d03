"""`nnunet_hetero doctor`: one run with all that it looks at, and each thing that can be wrong."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
import SimpleITK as sitk
from helpers.tiny_model import tiny_dataset_json, tiny_plans, write_case, write_json

from nnunet_hetero.cases.orientation import reoriented
from nnunet_hetero.cli.main import main
from nnunet_hetero.integration import checks
from nnunet_hetero.nnunet.environment import EXT_TRAINER, trainer_folder
from nnunet_hetero.planning.step_memory import step_memory

FOLDERS = ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")
HEALTHY = {
    "torch": {"torch": "2.10.0+cpu", "torchvision": "0.25"},
    "libraries": {"imported": ["acvl_utils"]},
    "trainers": {"found": ["HeteroModalVAETrainer"]},
    "device": {"kind": "cuda", "name": "A GPU", "free": 20e9, "total": 24e9},
}


@pytest.fixture
def healthy(monkeypatch, tmp_path):
    """A sound installation; tests break one thing of it."""
    for name in FOLDERS:
        (tmp_path / name).mkdir()
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.delenv(EXT_TRAINER, raising=False)
    monkeypatch.setattr(checks, "run_probe", lambda: HEALTHY)
    return tmp_path


def report(capsys) -> tuple[int, dict[str, dict]]:
    code = main(["doctor", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["ok"] == (code == 0) == all(check["status"] != "fail" for check in found["checks"])
    for check in found["checks"]:
        assert check["status"] in ("ok", "warn", "fail") and check["found"]
        assert bool(check["mend"]) == (check["status"] != "ok"), check
    return code, {check["name"]: check for check in found["checks"]}


def test_as_a_user_calls_it(healthy):
    """In a process of its own, nothing replaced: the heavy libraries are imported and our trainers looked up."""
    done = subprocess.run(
        [sys.executable, "-m", "nnunet_hetero.cli.main", "doctor", "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    status = {check["name"]: check["status"] for check in json.loads(done.stdout)["checks"]}
    sound = ("python", "nnunetv2", "torch and torchvision", "libraries", "trainers", *FOLDERS)
    assert {name: status[name] for name in sound} == dict.fromkeys(sound, "ok")


def test_text_for_people(healthy, capsys, monkeypatch):
    assert main(["doctor"]) == 0
    assert "Training can work" in capsys.readouterr().out
    monkeypatch.delenv("nnUNet_raw")
    assert main(["doctor"]) == 1
    printed = capsys.readouterr().out
    assert "fail  nnUNet_raw: not set\n      mend: export nnUNet_raw=" in printed
    assert printed.endswith("mend: nnUNet_raw\n")


@pytest.mark.parametrize("name", FOLDERS)
def test_folder_unset_or_not_there(healthy, capsys, monkeypatch, name):
    (healthy / name).rmdir()
    code, found = report(capsys)
    assert code == 1 and found[name]["mend"] == f'mkdir -p "{healthy / name}"'
    monkeypatch.delenv(name)
    code, found = report(capsys)
    assert code == 1 and found[name]["found"] == "not set" and f"export {name}=" in found[name]["mend"]


def test_folders_that_cannot_be_written_to(healthy, capsys, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    code, found = report(capsys)
    assert code == 1
    # Training only reads the raw data.
    assert [found[name]["status"] for name in FOLDERS] == ["warn", "fail", "fail"]


@pytest.mark.parametrize("version", ["2.6", "2.9.1+cu128"])
def test_torch_whose_loading_has_a_flaw(healthy, capsys, monkeypatch, version):
    monkeypatch.setattr(checks, "run_probe", lambda: {**HEALTHY, "torch": {"torch": version, "torchvision": "0.24"}})
    code, found = report(capsys)
    assert code == 0 and found["loading of checkpoints"]["status"] == "warn"
    assert version in found["loading of checkpoints"]["found"] and "2.10" in found["loading of checkpoints"]["mend"]


def test_torchvision_that_does_not_match(healthy, capsys, monkeypatch):
    error = {"error": "RuntimeError: operator torchvision::nms does not exist"}
    monkeypatch.setattr(checks, "run_probe", lambda: HEALTHY | {"torch": error, "trainers": error})
    code, found = report(capsys)
    assert code == 1
    assert "does not match" in found["torch and torchvision"]["found"]
    assert "torch torchvision" in found["torch and torchvision"]["mend"]
    assert found["trainers"]["status"] == "fail"


def test_versions_that_do_not_fit(healthy, capsys, monkeypatch):
    true_version = metadata.version
    monkeypatch.setattr(
        metadata, "version", lambda name: {"nnunetv2": "2.9.0", "tqdm": "1.0"}.get(name) or true_version(name)
    )
    code, found = report(capsys)
    assert code == 1 and "2.9.0" in found["nnunetv2"]["found"] and "pip install" in found["nnunetv2"]["mend"]
    assert found["packages"]["status"] == "warn" and "tqdm is 1.0" in found["packages"]["found"]


def test_package_that_is_not_installed(healthy, capsys, monkeypatch):
    true_version = metadata.version

    def version(name):
        if name == "acvl-utils":
            raise metadata.PackageNotFoundError(name)
        return true_version(name)

    monkeypatch.setattr(metadata, "version", version)
    code, found = report(capsys)
    assert code == 1 and "acvl-utils is not installed" in found["packages"]["found"]


def test_whose_the_prediction_command_is(healthy, capsys, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert report(capsys)[1]["nnUNetv2_predict"]["found"] == "not on PATH"
    monkeypatch.setattr(shutil, "which", lambda name: f"/elsewhere/bin/{name}")
    code, found = report(capsys)
    assert code == 0 and found["nnUNetv2_predict"]["status"] == "warn"
    assert "/elsewhere/bin/nnUNetv2_predict" in found["nnUNetv2_predict"]["found"]
    monkeypatch.setattr(shutil, "which", lambda name: str(Path(sys.executable).parent / name))
    assert report(capsys)[1]["nnUNetv2_predict"]["status"] == "ok"
    foreign = metadata.EntryPoint("nnUNetv2_predict", "other.module:main", "console_scripts")
    monkeypatch.setattr(metadata, "entry_points", lambda **which: [foreign])
    assert "other.module:main" in report(capsys)[1]["nnUNetv2_predict"]["found"]


def test_states_of_activation(healthy, capsys, monkeypatch):
    def state():
        return report(capsys)[1]["activation"]

    file = [healthy / "nnunet_hetero_activation.pth"]
    monkeypatch.setattr(checks, "activation_files", lambda: [])
    assert state()["status"] == "warn" and "nnunet_hetero activate" in state()["mend"]
    monkeypatch.setattr(checks, "activation_files", lambda: file)
    assert state()["status"] == "warn" and "no effect" in state()["found"]
    monkeypatch.setenv(EXT_TRAINER, trainer_folder())
    assert state()["status"] == "ok" and str(file[0]) in state()["found"]
    monkeypatch.setattr(checks, "activation_files", lambda: [])
    assert state()["status"] == "ok"


def test_no_gpu_and_little_room(healthy, capsys, monkeypatch):
    cpu = {"kind": "cpu", "name": "2 cores", "free": None, "total": None}
    monkeypatch.setattr(checks, "run_probe", lambda: HEALTHY | {"device": cpu})
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10e9, 9e9, 1e9))
    code, found = report(capsys)
    assert code == 0 and found["device"]["status"] == found["disk"]["status"] == "warn"


class TestDataSet:
    """``doctor -d``."""

    @pytest.fixture
    def folder(self, healthy):
        folder = healthy / "nnUNet_raw" / "Dataset501_X"
        for case in "ab":
            write_case(folder / "imagesTr", case, shape=(5, 4, 3), labels=folder / "labelsTr")
        write_json(folder / "dataset.json", tiny_dataset_json(num_training=2))
        return folder

    def test_one_orientation(self, folder):
        assert checks.orientation("501").status == "ok"

    def test_several(self, folder, capsys):
        for file in (*folder.glob("*/a_*"), *folder.glob("*/a.*")):
            sitk.WriteImage(reoriented(sitk.ReadImage(str(file)), "RAS"), str(file))
        assert main(["doctor", "-d", "501"]) == 1
        printed = capsys.readouterr().out
        assert "fail  orientation of 501: training images have different ones: RAS in 1 case(s), LPS in 1: b" in printed
        assert "mend: nnunet_hetero reorient -d 501; nnUNetv2_plan_and_preprocess -d 501" in printed

    def test_no_such_data_set(self, healthy):
        check = checks.orientation("502")
        assert check.status == "fail" and "502" in check.found


class TestMemory:
    """What ``doctor -d`` says of a training step."""

    @pytest.fixture
    def planned(self, healthy):
        folder = healthy / "nnUNet_preprocessed" / "Dataset501_X"
        (healthy / "nnUNet_raw" / "Dataset501_X").mkdir()
        write_json(folder / "nnUNetPlans.json", tiny_plans())
        write_json(folder / "dataset.json", tiny_dataset_json())
        return folder

    def test_by_configuration(self, planned):
        check = checks.memory("501", "nnUNetPlans", HEALTHY["device"])
        assert check.status == "ok" and "3d_fullres (patch 16×16×16, batch 2) 0.0 GB" in check.found

    @pytest.mark.parametrize(("kind", "free", "fits"), [("cuda", 1.0, True), ("cuda", 0.9, False), ("cpu", 1.0, False)])
    def test_next_to_what_is_free(self, planned, kind, free, fits):
        """On a CPU the step is in float32; 15 % are left to convolutions."""
        (step,) = step_memory(planned, "nnUNetPlans")
        found = checks.memory("501", "nnUNetPlans", {"kind": kind, "free": free * 1.01 * step.mixed / 0.85})
        assert (found.status == "ok") == fits
        assert fits or ("3d_fullres may not fit" in found.found and "-gpu_memory_target" in found.mend)

    def test_is_in_the_report(self, planned, capsys):
        main(["doctor", "-d", "501"])
        assert "ok    memory of nnUNetPlans: tensors of a training step" in capsys.readouterr().out

    def test_no_such_plans(self, planned):
        check = checks.memory("501", "nnUNetPlansX", HEALTHY["device"])
        assert check.status == "warn" and "There are: nnUNetPlans." in check.found
