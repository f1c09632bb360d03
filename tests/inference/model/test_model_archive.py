"""Models that change hands: zip files of nnU-Net's commands, a folder without any variable, files that mean harm."""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch

from nnunet_hetero.cli.main import main
from nnunet_hetero.errors import SettingsError
from nnunet_hetero.inference.model.model_archive import install_model
from nnunet_hetero.nnunet.environment import DEFAULT_TRAINER, EXT_TRAINER

NAME = f"Dataset501_Tiny/{DEFAULT_TRAINER}__nnUNetPlans__3d_fullres"


class CreatesFile:
    """What an attacker puts into a checkpoint: loading it runs a command."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return os.system, (f"touch {self.file}",)


def put_trap(model: Path, trap: Path) -> None:
    file = model / "fold_0" / "checkpoint_final.pth"
    torch.save({**torch.load(file, weights_only=False), "extra": CreatesFile(trap)}, file)


@pytest.fixture
def model(tiny_model, tmp_path):
    """A results folder of its own, with what a training leaves beside the checkpoint."""
    folder = tmp_path / "results" / NAME
    shutil.copytree(tiny_model.folder, folder)
    (folder / "dataset_fingerprint.json").write_text("{}")
    (folder / "fold_0" / "progress.png").write_bytes(b"picture")
    (folder / "fold_0" / "validation").mkdir()
    (folder / "fold_0" / "validation" / "summary.json").write_text("{}")
    return folder


@pytest.fixture
def archive(model, tmp_path):
    """Zip file with `model`, as nnU-Net writes it."""
    file = tmp_path / "model.zip"
    with zipfile.ZipFile(file, "w") as opened:
        for path in sorted(model.rglob("*")):
            if path.is_file() and "fold_1" not in path.parts:
                opened.write(path, path.relative_to(tmp_path / "results"))
    return file


@pytest.fixture
def commands(monkeypatch, tmp_path):
    """Call our command in this process, without any of nnU-Net's variables."""
    for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results", EXT_TRAINER):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "argv", ["nnunet_hetero"])
    monkeypatch.setattr(torch, "set_num_threads", lambda number: None)

    def call(*arguments) -> int:
        try:
            return main([str(argument) for argument in arguments])
        except SystemExit as end:
            return end.code

    yield call
    os.environ.pop(EXT_TRAINER, None)


def run(code: str, *arguments, **variables) -> subprocess.CompletedProcess:
    """An entry point of nnU-Net in a process of its own, whether or not its scripts are on the PATH."""
    module, function = code.split(":")
    script = f"import sys; from {module} import {function}; sys.exit({function}())"
    environment = {key: value for key, value in os.environ.items() if not key.startswith("nnUNet_")} | variables
    command = [sys.executable, "-W", "ignore", "-c", script, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)


class TestNnunetsCommands:
    def test_export_and_install(self, model, tmp_path):
        results = {"nnUNet_results": str(tmp_path / "results")}
        done = run(
            "nnunetv2.model_sharing.entry_points:export_pretrained_model_entry",
            *("-d", "Dataset501_Tiny", "-o", tmp_path / "m.zip", "-c", "3d_fullres", "-tr", DEFAULT_TRAINER, "-f", 0),
            **results,
        )
        assert done.returncode == 0, done.stderr
        other = tmp_path / "other"
        other.mkdir()
        done = run(
            "nnunetv2.model_sharing.entry_points:install_from_zip_entry_point",
            tmp_path / "m.zip",
            nnUNet_results=str(other),
        )
        assert done.returncode == 0, done.stderr
        for name in ("plans.json", "dataset.json", "fold_0/checkpoint_final.pth"):
            assert (other / NAME / name).read_bytes() == (model / name).read_bytes()
        assert install_model(tmp_path / "m.zip", tmp_path / "third") == [tmp_path / "third" / NAME]


class TestFolder:
    PREDICT = ("-f", "0", "-npp", "0", "-nps", "0", "-device", "cpu", "--disable_tta", "--disable_progress_bar")

    def test_predict_without_any_variable(self, commands, tiny_model, tmp_path, capsys):
        shutil.copytree(tiny_model.folder, tmp_path / "renamed")
        (tmp_path / "images").mkdir()
        for file in tiny_model.images.glob("case_00_*"):
            shutil.copy(file, tmp_path / "images")
        arguments = ("-m", tmp_path / "renamed", "-i", tmp_path / "images", "-o", tmp_path / "out", "--num_samples", 0)
        assert commands("predict", *arguments, *self.PREDICT, "--missing", "t1c") == 0
        assert (tmp_path / "out" / "case_00.nii.gz").is_file()
        assert json.loads((tmp_path / "out" / "run.json").read_text())["runs"][0]["model"]["trainer"] == DEFAULT_TRAINER

    @pytest.mark.parametrize("folder", [NAME.split("/")[1], "renamed", "nnUNetTrainer__nnUNetPlans__3d_fullres"])
    def test_harm_is_not_done(self, commands, tiny_model, tmp_path, capsys, folder):
        model, trap = shutil.copytree(tiny_model.folder, tmp_path / folder), tmp_path / "trap"
        put_trap(model, trap)
        assert commands("predict", "-m", model, "-i", tiny_model.images, "-o", tmp_path / "out", *self.PREDICT) == 1
        assert not trap.exists()
        error = capsys.readouterr().err
        assert error.startswith("error: The checkpoint ") and "--trust_checkpoint" in error

    def test_harm_is_not_done_by_other_commands(self, commands, tiny_model, model, tmp_path, capsys, monkeypatch):
        trap = tmp_path / "trap"
        put_trap(model, trap)
        for name, value in {**tiny_model.environment(), "nnUNet_results": str(tmp_path / "results")}.items():
            monkeypatch.setenv(name, value)
        where = ("-d", "501", "-c", "3d_fullres")
        assert commands("predict", *where, "-i", tiny_model.images, "-o", tmp_path / "out", *self.PREDICT) == 1
        assert commands("evaluate", *where, "-f", "0", "-device", "cpu") == 1
        checkpoint = model / "fold_0" / "checkpoint_final.pth"
        assert commands("train", "501", "3d_fullres", "0", "-device", "cpu", "-pretrained_weights", checkpoint) == 1
        assert not trap.exists()
        assert capsys.readouterr().err.count("wants to load") == 3


class TestInstall:
    def test_whole_model(self, commands, archive, model, tmp_path, monkeypatch, capsys):
        monkeypatch.setenv("nnUNet_results", str(tmp_path / "other"))
        assert commands("install-model", archive) == 0
        assert f"installed {tmp_path / 'other' / NAME}" in capsys.readouterr().out
        assert not list((tmp_path / "other").glob(".*"))
        assert commands("install-model", archive) == 1
        assert "is there already" in capsys.readouterr().err
        (tmp_path / "other" / NAME / "fold_0" / "old").write_text("")
        assert commands("install-model", archive, "--overwrite") == 0
        assert not (tmp_path / "other" / NAME / "fold_0" / "old").exists()

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("../outside.json", "leads out"),
            ("/outside.json", "leads out"),
            (f"{NAME}/../../../outside.json", "leads out"),
            ("..\\outside.json", "leads out"),
            (f"{NAME}/run.py", "no file of a model"),
            ("sitecustomize.json", "no file of a model"),
            (f"{NAME}/plans.JSON", "no file of a model|twice"),
        ],
    )
    def test_paths_and_files_that_do_not_belong(self, archive, tmp_path, name, message):
        with zipfile.ZipFile(archive, "a") as opened:
            opened.writestr(name, "{}")
        self.refused(archive, tmp_path, message)

    def test_symlink(self, archive, tmp_path):
        entry = zipfile.ZipInfo(f"{NAME}/fold_0/link.json")
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        with zipfile.ZipFile(archive, "a") as opened:
            opened.writestr(entry, "/etc/passwd")
        self.refused(archive, tmp_path, "is a link")

    def test_checkpoint_with_code(self, model, tmp_path):
        put_trap(model, tmp_path / "trap")
        shutil.make_archive(str(tmp_path / "bad"), "zip", tmp_path / "results")
        self.refused(tmp_path / "bad.zip", tmp_path, "wants to load")
        assert not (tmp_path / "trap").exists()
        install_model(tmp_path / "bad.zip", tmp_path / "other", trusted=True)

    def test_pickles_are_left_out(self, archive, tmp_path, capsys):
        with zipfile.ZipFile(archive, "a") as opened:
            opened.writestr(f"{NAME}/crossval_results_folds_0/postprocessing.pkl", b"")
        install_model(archive, tmp_path / "other")
        assert not list((tmp_path / "other").rglob("*.pkl"))
        assert "postprocessing.pkl" in capsys.readouterr().out

    def test_no_model_and_damaged(self, archive, tmp_path):
        with zipfile.ZipFile(tmp_path / "empty.zip", "w") as opened:
            opened.writestr("readme.txt", "")
        self.refused(tmp_path / "empty.zip", tmp_path, "holds no model")
        content = bytearray(archive.read_bytes())
        content[len(content) // 2] ^= 0xFF
        (tmp_path / "damaged.zip").write_bytes(content)
        self.refused(tmp_path / "damaged.zip", tmp_path, "cannot be unpacked")

    def test_damaged_where_it_is_packed(self, tmp_path):
        """What is packed tells of itself that it is damaged, before its checksum does."""
        file = tmp_path / "damaged.zip"
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as opened:
            opened.writestr(f"{NAME}/plans.json", json.dumps(list(range(999))))
        content = bytearray(file.read_bytes())
        content[len(f"{NAME}/plans.json") + 30] ^= 0xFF  # the first byte behind the entry's header
        file.write_bytes(content)
        self.refused(file, tmp_path, "cannot be unpacked")

    def test_what_is_not_there_and_what_the_disk_does_not_take(self, archive, tmp_path, monkeypatch, commands, capsys):
        (tmp_path / "other").mkdir()
        monkeypatch.setenv("nnUNet_results", str(tmp_path / "other"))
        assert commands("install-model", tmp_path / "gone.zip") == 1
        assert "gone.zip is not there" in (said := capsys.readouterr().err) and "Get the file again" not in said

        def full(*_arguments: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device", "a.pth")

        monkeypatch.setattr(zipfile.ZipFile, "extractall", full)
        with pytest.raises(OSError, match="No space left"):
            install_model(archive, tmp_path / "other")
        assert not list((tmp_path / "other").rglob("*"))

    def refused(self, archive, tmp_path, message):
        with pytest.raises(SettingsError, match=message):
            install_model(archive, tmp_path / "other")
        assert not list((tmp_path / "other").rglob("*")) and not (tmp_path / "outside.json").exists()


class TestVariables:
    @pytest.mark.parametrize(
        ("command", "variables"),
        [
            (("predict", "-d", "501", "-c", "3d_fullres", "-i", "IN", "-o", "OUT"), ["nnUNet_results"]),
            (("train", "501", "3d_fullres", "0"), ["nnUNet_preprocessed", "nnUNet_results"]),
            (("evaluate", "-d", "501", "-c", "3d_fullres", "-device", "cpu"), ["nnUNet_raw", "nnUNet_results"]),
            (("install-model", "model.zip"), ["nnUNet_results"]),
        ],
    )
    def test_unset_ones_are_named(self, commands, capsys, command, variables):
        assert commands(*command) == 1
        error = capsys.readouterr().err
        assert error.startswith("error: ") and all(f"{name} (" in error for name in variables)
