"""Prediction and completion by workers, one of which is killed: what comes out is what one process gives."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time
from pathlib import Path

import pytest

from nnunet_hetero.cli.cluster import mapped
from nnunet_hetero.cli.main import main
from nnunet_hetero.errors import SettingsError
from nnunet_hetero.io.turns import alone_in

TIMINGS = ("seconds", "peak_memory_bytes")
FLAGS = ["-d", "501", "-c", "3d_fullres", "-f", "0", "-device", "cpu", "--num_samples", "2"]


def contents(folder: Path) -> dict[str, bytes | dict]:
    """Every file; of run.json what is no timing."""
    files = {str(file.relative_to(folder)): file for file in folder.rglob("*") if file.is_file()}
    found: dict[str, bytes | dict] = {name: file.read_bytes() for name, file in files.items()}
    run = json.loads(files["run.json"].read_bytes())
    for case in run["cases"].values():
        for key in TIMINGS:
            case.pop(key, None)
    arguments = "predict_from_raw_data_args.json"
    if arguments in files:
        found[arguments] = json.loads(files[arguments].read_bytes()) | {
            "output_folder_or_list_of_truncated_output_files": ""
        }
    return {**found, "run.json": run}


def kill_a_worker_when(client, file: Path) -> threading.Thread:
    """Kill one of the cluster's processes when a file is there."""
    process = next(iter(client.run(os.getpid).values()))

    def wait() -> None:
        while not file.exists():
            time.sleep(0.02)
        os.kill(process, signal.SIGKILL)

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


@pytest.fixture
def images(nnunet_folders, tmp_path):
    """Four cases that lack different modalities, and one that cannot be read."""
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(4):
        for channel in set(range(4)) - {number}:
            name = f"case_{number:02d}_{channel:04d}.nii.gz"
            shutil.copy2(nnunet_folders.images / name, folder / name)
    shutil.copy2(nnunet_folders.images / "case_04_0000.nii.gz", folder / "case_04_0000.nii.gz")
    (folder / "case_04_0001.nii.gz").write_bytes(b"no image")
    return folder


def test_predictions_are_those_of_one_process(client, images, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)  # paths of the user's are relative, the workers are elsewhere
    here, there = tmp_path / "here", tmp_path / "there"
    with pytest.raises(SystemExit):
        main(["predict", "-i", "images", "-o", "here", *FLAGS, "-npp", "0", "-nps", "0"])
    killer = kill_a_worker_when(client, there / "case_00.nii.gz")
    with pytest.raises(SystemExit) as end:
        mapped.predict(client, ["-i", "images", "-o", "there", *FLAGS, "-npp", "0", "-nps", "0"])
    killer.join(10)
    assert not killer.is_alive() and end.value.code == 1
    assert "1 case(s) could not be predicted" in capsys.readouterr().err
    plain, spread = contents(here), contents(there)
    reasons = [json.loads(found.pop("failed.json")) for found in (plain, spread)]
    assert all(list(reason) == ["case_04"] and reason["case_04"]["step"] == "reading" for reason in reasons)
    assert spread == plain

    shutil.copy2(images / "case_04_0000.nii.gz", images / "case_04_0001.nii.gz")
    (there / "case_02.nii.gz").unlink()
    kept = (there / "case_01.nii.gz").stat().st_mtime_ns
    assert mapped.predict(client, ["-i", "images", "-o", "there", *FLAGS, "--continue_prediction"]) == 0
    assert "3 of them are predicted already" in capsys.readouterr().out
    assert (there / "case_01.nii.gz").stat().st_mtime_ns == kept and not (there / "failed.json").exists()
    assert (there / "case_02.nii.gz").read_bytes() == plain["case_02.nii.gz"]

    # Beside it, so that the workers keep their model: completion of the same cases.
    (images / "case_04_0001.nii.gz").unlink()
    more = [flag for flag in FLAGS if flag != "-npp"]
    assert main(["complete", "-i", "images", "-o", "completed_here", *more, "-npp", "0"]) == 0
    assert mapped.complete(client, ["-i", "images", "-o", "completed_there", *more]) == 0
    assert contents(tmp_path / "completed_there") == contents(tmp_path / "completed_here")


@pytest.mark.parametrize("wrong", [("-chk", "no.pth"), ("-device", "mps")], ids=["checkpoint", "device"])
def test_nothing_is_removed_before_the_workers_are_looked_at(client, images, tmp_path, capsys, wrong):
    output = tmp_path / "there"
    output.mkdir()
    (output / "case_00.nii.gz").write_bytes(b"of an earlier run")
    with pytest.raises((SettingsError, SystemExit)) as refused:
        mapped.predict(client, ["-i", str(images), "-o", str(output), *FLAGS, *wrong])
    said = f"{refused.value} {capsys.readouterr().err}"
    assert {"-chk": "no.pth", "-device": "cannot be used: -device mps"}[wrong[0]] in said
    assert [file.name for file in output.iterdir()] == ["case_00.nii.gz"]


def test_of_two_calls_on_one_folder_the_second_is_refused(client, images, tmp_path, capsys):
    output = tmp_path / "there"
    output.mkdir()
    (output / "case_00.nii.gz").write_bytes(b"of the first")
    with alone_in(output, ["case_00", "case_01"]), pytest.raises(SystemExit) as end:
        mapped.predict(client, ["-i", str(images), "-o", str(output), *FLAGS])
    assert end.value.code == 1
    assert "on case_00 and 1 more of these cases). Wait" in capsys.readouterr().err
    assert [file.name for file in output.iterdir()] == ["case_00.nii.gz"]


def test_other_trainers_are_refused(client, images, tmp_path, capsys):
    with pytest.raises(SystemExit):
        mapped.predict(client, ["-i", str(images), "-o", str(tmp_path / "out"), *FLAGS[:-2], "-tr", "nnUNetTrainer"])
    assert "only these predict on a cluster" in capsys.readouterr().err
