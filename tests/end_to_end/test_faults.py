"""Every command that writes, killed or with a full disk at every change of the file system, then run again.

What stands then must be what an undisturbed run leaves, and nothing hidden. Only every `STRIDE`-th change is tried, see
HETERO_KILL_STRIDE; 1 tries all of them, which takes minutes.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from helpers.accidents.faults import KILLED, count_changes, end, fill, hidden_files, run_until
from helpers.tiny_model import write_case, write_tiny_model

from nnunet_hetero.cli.main import main
from nnunet_hetero.io import drafts

STRIDE = int(os.environ.get("HETERO_KILL_STRIDE", "7"))
MODEL = ("-c", "3d_fullres", "-f", "0", "-device", "cpu", "--disable_tta", "--disable_progress_bar")

VARIABLE = {"run.json", "predict_from_raw_data_args.json", "sources.json", "settings.json", "summary.json"}
"""They hold times of day or of files."""


@dataclass(frozen=True)
class Job:
    """A command in a folder of its own.

    Args:
        prepare: Makes the folder; returns the folder whose files count.
        words: The command, given the folder.
        again: A command that is needed after the fault, before the same one is run again; None needs none.
    """

    prepare: Callable[[Path], Path]
    words: Callable[[Path], list]
    again: Callable[[Path], list] | None = None


def _raw_brats(root: Path) -> Path:
    main(["convert", "phantom", "-o", str(root / "raw"), "--cases", "2", "--size", "16"])
    (root / "nnUNet_raw").mkdir()
    return root / "nnUNet_raw"


def _gaps(root: Path) -> Path:
    model = write_tiny_model(root, cases=("a", "b"))
    (model.images / "a_0001.nii.gz").unlink()
    (model.images / "b_0003.nii.gz").unlink()
    (root / "raw").rename(root / "nnUNet_raw")
    return root / "nnUNet_raw"


def _filled(root: Path) -> Path:
    folder = _gaps(root)
    assert _run(root, ["fill-gaps", "-d", "501"]) == 0
    return folder


def _images(root: Path) -> Path:
    write_case(root / "images", "a", present=(0, 2))
    write_case(root / "images", "b", present=(1,))
    (root / "out").mkdir()
    return root / "out"


def _labelled(root: Path) -> Path:
    write_case(root / "images", "a", labels=root / "labels")
    (root / "out").mkdir()
    return root / "out"


def _evaluate(root: Path) -> list:
    folders = ("-i", root / "images", "-l", root / "labels", "-o", root / "out")
    return ["evaluate", "-d", "501", *folders, "--subsets", "T1", "T2", *MODEL, "--completion", "--save_predictions"]


def _splits(root: Path) -> Path:
    model = write_tiny_model(root, cases=tuple("abcdefgh"))
    (root / "raw").rename(root / "nnUNet_raw")
    (root / "preprocessed").rename(root / "nnUNet_preprocessed")
    shutil.rmtree(root / "nnUNet_preprocessed" / model.dataset)
    return root


JOBS = {
    "phantom": Job(
        lambda root: root, lambda root: ["convert", "phantom", "-o", root / "raw", "--cases", "2", "--size", "16"]
    ),
    "convert": Job(_raw_brats, lambda root: ["convert", "brats", "-i", root / "raw", "-d", "502", "-np", "1"]),
    "fill-gaps": Job(_gaps, lambda root: ["fill-gaps", "-d", "501"]),
    "fill-gaps --undo": Job(_filled, lambda root: ["fill-gaps", "-d", "501", "--undo"]),
    "splits": Job(
        _splits,
        lambda root: ["splits", "-d", "501", "--test", "0.3", "--folds", "3"],
        lambda root: ["splits", "-d", "501", "--undo"],
    ),
    "complete": Job(
        _images, lambda root: ["complete", "-d", "501", "-i", root / "images", "-o", root / "out", *MODEL, "-npp", "0"]
    ),
    "evaluate": Job(_labelled, _evaluate),
}


def _run(root: Path, words: list) -> int:
    variables = {name: os.environ.get(name) for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")}
    for name in variables:
        if (root / name).is_dir():
            os.environ[name] = str(root / name)
    try:
        return main([str(word) for word in words])
    except SystemExit as stop:
        return int(stop.code or 0)
    finally:
        for name, value in variables.items():
            if value is not None:
                os.environ[name] = value


def _mend(root: Path, job: Job) -> int:
    if job.again is not None and _run(root, job.again(root)):
        return 1
    return _run(root, job.words(root))


def _content(folder: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(folder)): b"" if _varies(file) else file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def _varies(file: Path) -> bool:
    return file.name in VARIABLE or file.suffix in (".npz", ".html") or "made_from" in str(file)


@pytest.mark.slow
@pytest.mark.parametrize("fault", [end, fill], ids=["kill", "full disk"])
@pytest.mark.parametrize("name", JOBS)
def test_the_same_command_mends_it(name, fault, nnunet_folders, tmp_path, monkeypatch, capfd):
    job = JOBS[name]
    template = tmp_path / "template"
    template.mkdir()
    counted = job.prepare(template).relative_to(template)
    whole = shutil.copytree(template, tmp_path / "root")
    torch.set_num_threads(1)  # a process that was forked cannot use the threads of the other
    changes = count_changes(lambda: _run(whole, job.words(whole)), whole / counted)
    expected = _content(whole / counted)
    assert not hidden_files(whole / counted)
    unsound = []
    for number in range(0, changes, STRIDE):
        shutil.rmtree(tmp_path / "root")
        root = shutil.copytree(template, tmp_path / "root")  # the same path: it is in the records
        code = run_until(number, fault, lambda root=root: _run(root, job.words(root)), root / counted)
        assert fault is fill or code == KILLED
        drafts._cleared.clear()  # as in a process of its own
        again = _mend(root, job) if code else 0  # a command may do without, such as waiting for the disk
        found = _content(root / counted)
        different = [file for file in {**expected, **found} if found.get(file) != expected.get(file)]
        if again or different or hidden_files(root / counted):
            unsound.append([number, again, different, hidden_files(root / counted)])
    assert changes > 5 and not unsound, json.dumps(unsound, indent=1)
    assert "Traceback" not in "".join(capfd.readouterr())
