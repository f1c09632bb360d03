"""Cases that have a fault, from the command line: each is named with what to do, others go on, the exit code is 1."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from helpers.cohorts.moved_case import phantom_images

from nnunet_hetero.cli.main import main

GOOD = "gut, früh ä"


def write(file: Path, image: sitk.Image) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(file))


def no_image(case: Path) -> None:
    (case / "t1.nii.gz").unlink()
    (case / "notes.txt").write_text("nothing")


def twice(case: Path) -> None:
    write(case / "again/t1.nii.gz", phantom_images()["T1"])


def four_axes(case: Path) -> None:
    write(case / "t1.nii.gz", sitk.JoinSeries([phantom_images()["T1"]] * 2))


def not_a_number(case: Path) -> None:
    array = sitk.GetArrayFromImage(phantom_images()["T1"]).astype(np.float32)
    array[3, 4, 5] = np.nan
    write(case / "t1.nii.gz", sitk.GetImageFromArray(array))


def another_part_of_the_body(case: Path) -> None:
    noise = sitk.GetImageFromArray(np.random.default_rng(0).gamma(2, 50, (20, 20, 20)).astype(np.float32))
    noise.SetSpacing([6.0] * 3)
    noise.SetOrigin(phantom_images()["T1"].GetOrigin())
    write(case / "t2.nii.gz", noise)


def damaged(case: Path) -> None:
    (case / "t1.nii.gz").write_bytes((case / "t1.nii.gz").read_bytes()[:500])


FAULTS: dict[str, tuple[Callable[[Path], None], tuple[str, ...]]] = {
    "no image": (no_image, ("Found: no image (it holds no image: no DICOM series,", "move it away")),
    "twice": (twice, ("again/t1.nii.gz could be it", "write its modality into series.csv")),
    "4D": (four_axes, ("4D/t1.nii.gz has 4 axes", "expected is one 3D image", "Save one")),
    "NaN": (not_a_number, ("NaN/t1.nii.gz", "voxel (5, 4, 3)")),
    "liver": (another_part_of_the_body, ("T2 cannot be registered to T1", "leave its modality empty in series.csv")),
    "damaged": (damaged, ("damaged/t1.nii.gz", "Copy or download it again")),
}


@pytest.fixture
def folder(tmp_path):
    for case in (*FAULTS, GOOD):
        write(tmp_path / "in" / case / "t1.nii.gz", phantom_images()["T1"])
    return tmp_path / "in"


def run(folder, model, *flags):
    """The exit code, and why cases failed."""
    out = folder.parent / "out"
    code = main(["intake", "-i", str(folder), "-o", str(out), "-m", str(model), "-np", "0", *flags])
    failed = out / "failed.json"
    return code, json.loads(failed.read_text("utf-8")) if failed.is_file() else {}


def test_each_is_named_and_the_good_one_goes_on(folder, model):
    for case, (spoil, _) in FAULTS.items():
        spoil(folder / case)
    code, failed = run(folder, model, "--reference", "T1,T2")
    assert code == 1 and set(failed) == set(FAULTS)
    for case, (_, words) in FAULTS.items():
        reason = failed[case]["reason"]
        assert reason.startswith(f"Case '{case}'") and all(word in reason for word in words), reason
    images = sorted(file.name for file in (folder.parent / "out/images").iterdir())
    assert images == [f"{GOOD}_0000.nii.gz"]


def test_masks(folder, model):
    """One on another grid, none, and a good one."""
    for case in FAULTS:
        if case not in ("no image", "twice"):
            for file in (folder / case).iterdir():
                file.unlink()
            (folder / case).rmdir()
    brain = phantom_images()["T1"] > 0
    write(folder / GOOD / "brain_mask.nii.gz", brain)
    write(folder / "twice/brain_mask.nii.gz", brain[:, :, 1:])
    code, failed = run(folder, model, "--mask", "brain_mask.nii.gz")
    assert code == 1 and set(failed) == {"no image", "twice"}
    assert "no file is named brain_mask.nii.gz" in failed["no image"]["reason"]
    words = failed["twice"]["reason"]
    assert (
        "the mask brain_mask.nii.gz lies on the grid of none of the images: shape" in words
        and "Give the mask of one" in words
    )


def test_no_reference(folder, model):
    code, failed = run(folder, model, "--reference", "FLAIR")
    assert code == 1 and len(failed) == len(FAULTS) + 1
    assert "has none of the references FLAIR; it has T1. Name one of these" in failed[GOOD]["reason"]


def test_a_folder_without_anything(tmp_path, model, capsys):
    (tmp_path / "in").mkdir()
    code, failed = run(tmp_path / "in", model)
    assert code == 1 and not failed
    assert "holds no image: no DICOM series" in capsys.readouterr().err
