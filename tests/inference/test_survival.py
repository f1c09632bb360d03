"""Runs that are killed at any moment, disks that are full, cases that fail: what is left, and how the run goes on."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.accidents.leftovers import leave_draft
from helpers.kept import KEPT
from helpers.tiny_model import write_case, write_image

from nnunet_hetero.errors import DataError
from nnunet_hetero.inference.engine.case_result import SamplingOptions
from nnunet_hetero.inference.options import PredictionOptions
from nnunet_hetero.inference.output import books
from nnunet_hetero.inference.output.case_writer import CaseWriter
from nnunet_hetero.inference.predictor import HeteroModalPredictor
from nnunet_hetero.io.drafts import is_draft, new_draft

EVERYTHING = SamplingOptions(num_samples=2, save_completed="missing", save_uncertainty=True)
SHARED = {
    *("modalities.json", "run.json", "volumes.csv", "uncertainty.csv"),
    *("dataset.json", "plans.json", "predict_from_raw_data_args.json"),
}
STRIDE = int(os.environ.get("HETERO_KILL_STRIDE", "7"))  # 1 kills at every change, and takes minutes


@pytest.fixture(autouse=True)
def _environment(nnunet_folders):
    pass


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    write_case(folder, "a", present=(0, 2), seed=0)
    write_case(folder, "b", present=(1,), seed=1)
    return folder


@pytest.fixture(scope="module")
def predictor(tiny_model):
    return make_predictor(tiny_model.folder)


def make_predictor(folder, sampling=EVERYTHING) -> HeteroModalPredictor:
    predictor = HeteroModalPredictor(
        options=PredictionOptions(sampling=sampling),
        use_mirroring=False,
        allow_tqdm=False,
        device=torch.device("cpu"),
    )
    predictor.initialize_from_trained_model_folder(str(folder), (0,))
    return predictor


def predict(predictor, images, output, **arguments):
    predictor.predict_from_files_sequential(str(images), str(output), **arguments)


def files_of(folder: Path) -> dict[str, bytes]:
    """Bytes of all files, hidden ones too; of run.json without what was measured."""
    found = {}
    for file in folder.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            if file.name == "run.json":
                run = json.loads(content)
                for case in run["cases"].values():
                    del case["seconds"], case["peak_memory_bytes"]
                content = json.dumps(run).encode()
            found[file.relative_to(folder).as_posix()] = content
    return found


def failures(folder: Path) -> dict:
    file = folder / "failed.json"
    return json.loads(file.read_text()) if file.exists() else {}


class TestKilled:
    def test_at_every_change_of_a_file(self, predictor, images, tmp_path):
        """Whatever of the files was there at the moment of the kill, the continued run ends with the same bytes."""
        predict(predictor, images, tmp_path / "whole", save_probabilities=True)
        expected = files_of(tmp_path / "whole")
        assert {"a.nii.gz", "a.npz", "a.pkl", "completed/b_0000.nii.gz", "volumes.csv"} <= set(expected)
        context = multiprocessing.get_context("fork")
        kills = 0
        while True:
            output = tmp_path / str(kills)
            process = context.Process(target=predict_until, args=(kills, predictor, images, output))
            process.start()
            process.join()
            if process.exitcode == 0:
                break
            assert process.exitcode == KILLED
            # What stands under its final name is final.
            for name, content in files_of(output).items():
                if Path(name).name not in SHARED and "/." not in f"/{name}":
                    assert content == expected[name], (kills, name)
            for case in ("a", "b"):
                if (output / f"{case}.nii.gz").exists():
                    assert {name for name in expected if f"/{case}_" in f"/{name}"} <= set(files_of(output))
            predict(predictor, images, output, save_probabilities=True, overwrite=False)
            assert files_of(output) == {**expected, "predict_from_raw_data_args.json": arguments_of(output)}
            shutil.rmtree(output)
            kills += STRIDE
        assert kills > 60

    def test_old_results_are_not_taken_for_new_ones(self, predictor, images, tmp_path):
        """A run that overwrites, killed before its second case, must not leave the old segmentation of that case."""
        predict(predictor, images, tmp_path, save_probabilities=True)
        context = multiprocessing.get_context("fork")
        process = context.Process(target=end_predicting, args=(predictor, images, tmp_path))
        process.start()
        process.join()
        assert process.exitcode == KILLED
        assert not (tmp_path / "a.nii.gz").exists() and not (tmp_path / "b.nii.gz").exists()

    def test_leftovers_are_cleared(self, predictor, tmp_path):
        """Those of a living process stay: it may be another part that is running at this moment."""
        write_case(tmp_path / "images", "a", present=(0,))
        left = leave_draft(tmp_path / "out" / "a", content=None)
        living = new_draft(tmp_path / "out" / "a")
        living.mkdir()
        predict(predictor, tmp_path / "images", tmp_path / "out")
        assert not left.exists() and living.exists()


KILLED = 9


def predict_until(number: int, predictor, images, output) -> None:
    """Predict in this process, which ends at the change of files of the given number, as if by SIGKILL."""
    changes = 0

    def count(function):
        def counted(*arguments, **keywords):
            nonlocal changes
            if changes == number:
                os._exit(KILLED)
            changes += 1
            return function(*arguments, **keywords)

        return counted

    for name in ("replace", "unlink", "mkdir", "fsync", "rmdir"):
        setattr(os, name, count(getattr(os, name)))
    predict(predictor, images, output, save_probabilities=True)
    os._exit(0)


def end_predicting(predictor, images, output) -> None:
    """Predict in this process, which ends with the first case."""
    predictor.predict_case = lambda *_: os._exit(KILLED)
    predict(predictor, images, output, save_probabilities=True)


def arguments_of(output: Path) -> bytes:
    """nnU-Net's record of the arguments, which names the output folder; it says nothing of the continuation."""
    content = (output / "predict_from_raw_data_args.json").read_bytes()
    arguments = json.loads(content)
    assert arguments["output_folder_or_list_of_truncated_output_files"] == str(output)
    return content


class TestFullDisk:
    @pytest.mark.parametrize("step", ["writing", "books"])
    def test_case_fails_and_others_go_on(self, predictor, images, tmp_path, monkeypatch, step):
        full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        def fill(function, name_of):
            def filled(*arguments, **keywords):
                if name_of(arguments) == "a":
                    raise full
                return function(*arguments, **keywords)

            return filled

        if step == "writing":
            write = CaseWriter.write
            monkeypatch.setattr(CaseWriter, "write", fill(write, lambda arguments: arguments[4]))
        else:
            write = books.write_records
            monkeypatch.setattr(books, "write_records", fill(write, lambda arguments: next(iter(arguments[1]))))
        predict(predictor, images, tmp_path)
        assert (tmp_path / "b.nii.gz").exists() and not (tmp_path / "a.nii.gz").exists()
        entry = failures(tmp_path)["a"]
        assert entry["step"] == "exporting" and "No space left" in entry["reason"]
        assert "No space left" in predictor.failed["a"]
        assert not [path for path in tmp_path.iterdir() if is_draft(path.name)]
        monkeypatch.undo()
        predict(predictor, images, tmp_path, overwrite=False)
        assert failures(tmp_path) == {} and (tmp_path / "a.nii.gz").exists() and not (tmp_path / "failed.json").exists()

    def test_a_real_one(self, predictor, tmp_path):
        """A memory disk of 1 MB, and a case whose probabilities need more."""
        disk = tmp_path / "disk"
        disk.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
        if os.geteuid() != 0 or shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
            pytest.skip("Mounting a memory disk needs the right to do so.")
        try:
            write_case(tmp_path / "images", "big", shape=(64, 64, 64), present=(0,))
            write_case(tmp_path / "images", "small", present=(0,))
            predict(predictor, tmp_path / "images", disk, save_probabilities=True)
            assert (disk / "small.nii.gz").exists() and not list(disk.rglob("*big*.nii.gz"))
            assert failures(disk)["big"]["step"] == "exporting"
        finally:
            subprocess.run(["umount", str(disk)], check=True)


class TestBadCases:
    def test_every_step_is_named(self, predictor, images, tmp_path, monkeypatch, capsys):
        source = shutil.copytree(images, tmp_path / "images")
        for name in "cdef":
            write_case(source, name, present=(0,))
        (source / "c_0000.nii.gz").write_bytes(b"no image")
        write_image(source / "d_0000.nii.gz", np.full((20, 18, 22), 5, np.float32))
        predict_case = predictor.predict_case

        def out_of_memory(data, properties, case):
            if case == "e":
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB.")
            return predict_case(data, properties, case)

        monkeypatch.setattr(predictor, "predict_case", out_of_memory)
        write = CaseWriter.write
        monkeypatch.setattr(
            CaseWriter, "write", lambda self, *rest: 1 / 0 if rest[3] == "f" else write(self, *rest), raising=True
        )
        predict(predictor, source, tmp_path / "out")
        found = failures(tmp_path / "out")
        assert {case: entry["step"] for case, entry in found.items()} == {
            "c": "reading",
            "d": "reading",
            "e": "predicting",
            "f": "exporting",
        }
        assert "OutOfMemoryError: CUDA out of memory" in found["e"]["reason"]
        assert "ZeroDivisionError" in found["f"]["reason"] and "Traceback" in capsys.readouterr().err
        assert sorted(predictor.failed) == list("cdef")
        assert sorted(file.name for file in (tmp_path / "out").glob("*.nii.gz")) == ["a.nii.gz", "b.nii.gz"]
        monkeypatch.undo()
        for name in "cd":
            write_case(source, name, present=(0,))
        predict(predictor, source, tmp_path / "out", overwrite=False)
        assert not (tmp_path / "out" / "failed.json").exists()

    def test_rows_of_an_earlier_run_do_not_outlive_a_failure(self, predictor, images, tmp_path):
        source = shutil.copytree(images, tmp_path / "images")
        predict(predictor, source, tmp_path / "out")
        (source / "a_0000.nii.gz").write_bytes(b"no image")
        predict(predictor, source, tmp_path / "out")
        lines = (tmp_path / "out" / "volumes.csv").read_text().splitlines()
        assert [line.split(",")[0] for line in lines] == ["case", "b"]

    def test_none_of_all_is_written_down_too(self, predictor, tmp_path):
        (tmp_path / "images").mkdir()
        (tmp_path / "images" / "a_0000.nii.gz").write_bytes(b"no image")
        with pytest.raises(DataError, match="None of the 1 case"):
            predict(predictor, tmp_path / "images", tmp_path / "out")
        assert failures(tmp_path / "out")["a"]["step"] == "reading"


class TestContinue:
    @pytest.mark.parametrize("name", ["completed/b_0000.nii.gz", "uncertainty/b_entropy_whole_tumor.nii.gz", "b.pkl"])
    def test_every_asked_output_must_be_there(self, predictor, images, tmp_path, name):
        predict(predictor, images, tmp_path, save_probabilities=True)
        expected = (tmp_path / name).read_bytes()
        (tmp_path / name).unlink()
        (tmp_path / "a.nii.gz").write_bytes(KEPT)
        predict(predictor, images, tmp_path, save_probabilities=True, overwrite=False)
        assert (tmp_path / name).read_bytes() == expected
        assert (tmp_path / "a.nii.gz").read_bytes() == KEPT


class TestRunRecord:
    def test_what_made_a_prediction(self, predictor, images, tmp_path, tiny_model):
        predict(predictor, images, tmp_path)
        run = json.loads((tmp_path / "run.json").read_text())
        (settings,) = run["runs"]
        assert settings["versions"]["torch"] == torch.__version__ and set(settings["versions"]) >= {
            "python",
            "nnunetv2",
        }
        assert settings["model"]["folder"] == str(tiny_model.folder)
        assert settings["model"]["trainer"] == "HeteroModalVAETrainer"
        assert settings["model"]["configuration"] == "3d_fullres"
        (checkpoint,) = settings["model"]["checkpoints"]
        digest = subprocess.run(["sha256sum", tiny_model.folder / checkpoint["file"]], capture_output=True, text=True)
        assert checkpoint["sha256"] == digest.stdout.split()[0]
        assert settings["flags"]["sampling"]["num_samples"] == 2 and settings["device"].startswith("cpu")
        assert run["cases"]["b"]["modalities"] == ["T1c"] and run["cases"]["b"]["run"] == 0
        assert set(run["cases"]["b"]["seconds"]) == {"preprocessing", "predicting", "exporting"}
        assert run["cases"]["b"]["peak_memory_bytes"] > 1e7

    def test_two_models_into_one_folder(self, predictor, images, tmp_path, tiny_model):
        predict(predictor, images, tmp_path)
        (tmp_path / "b.nii.gz").unlink()
        predict(make_predictor(tiny_model.folder, SamplingOptions(1)), images, tmp_path, overwrite=False)
        run = json.loads((tmp_path / "run.json").read_text())
        # Case a was whole, but made with other settings.
        assert {case: entry["run"] for case, entry in run["cases"].items()} == {"a": 1, "b": 1}
        assert [settings["flags"]["sampling"]["num_samples"] for settings in run["runs"]] == [2, 1]
