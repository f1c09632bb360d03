"""What is said of names that are not quite right."""

from __future__ import annotations

from pathlib import Path

import pytest

from nnunet_hetero.cases.naming import doubt
from nnunet_hetero.cases.naming.names import Doubtful, sort_names
from nnunet_hetero.modalities import Modalities

BRATS = Modalities(("T1", "T1c", "T2", "FLAIR"))
ALL = (0, 1, 2, 3)
FILES = ("in/a_0000.nii.gz", None, "in/a_0002.nii.gz", None)


def of(*doubtful, kept=ALL):
    return doubt.doubt("a", FILES, doubtful, BRATS, kept, ".nii.gz")


def test_case_that_lacks_what_a_file_could_be():
    said = of(Doubtful("a_2.nii.gz", (1, 2)))
    assert said.startswith("Case 'a' has no T1c (channel 1), but a_2.nii.gz lies there and could be it.")
    assert "Name it a_0001.nii.gz" in said and said.endswith("--missing T1c")


@pytest.mark.parametrize("kept", [(0, 2, 3), (0, 3), (2,)])
def test_nothing_is_wrong_without_that_modality(kept):
    assert of(Doubtful("a_T1c.nii.gz", (1,)), kept=kept) is None


def test_two_files_of_one_image_and_pictures_beside_images():
    assert "a_0002.nii.gz and a_0002.mha both claim channel 2 (T2)" in of(Doubtful("a_0002.mha", (2,)))
    assert of(Doubtful("a_0002.png", (2,))) is None


def test_lists_of_names(capsys):
    names = sort_names(
        ["X_0000.nii.gz", "x_0000.nii.gz", "X-1_0000.nii.gz", "x1_0000.nii.gz", "q.nii.gz"], (), BRATS, ".nii.gz"
    )
    doubt.tell(names)
    assert capsys.readouterr().out.splitlines() == [
        "Ignored 1 file(s) without a channel number _XXXX in their name, e.g. q.nii.gz.",
        "WARNING: 'X-1' and 'x1' are taken for different cases. Are they one patient?",
        "WARNING: 'X' and 'x' are taken for different cases. Are they one patient?",
    ]


@pytest.mark.parametrize(
    ("case", "channels", "said"),
    [
        ("r_X", (1,), True),
        ("X_reg", (1, 3), True),
        ("Copy of X", (1,), True),
        ("X_0001", (0,), True),
        ("X_0002", (0,), False),
        ("X_2", (0, 1), False),
        ("XY", (1,), False),
    ],
)
def test_case_that_may_be_a_part_of_another_one(capsys, case, channels, said):
    files = [
        *(f"X_{channel:04d}.nii.gz" for channel in (0, 2)),
        *(f"{case}_{channel:04d}.nii.gz" for channel in channels),
    ]
    doubt.tell(sort_names(files, (), BRATS, ".nii.gz"))
    assert ("taken for different cases" in capsys.readouterr().out) == said


@pytest.mark.parametrize(
    ("name", "cohort"),
    [
        ("BRATS", True),
        ("ISLES2022", True),
        ("case_", True),
        ("a", False),
        ("BRATS_012", False),
        ("P17", False),
        ("20220131", False),
    ],
)
def test_names_of_cohorts_have_no_number_of_a_patient(name, cohort):
    assert doubt.is_name_of_cohort(name) == cohort


def test_folder_without_images():
    names = sort_names(["a_T1.nii", "b_0001.nrrd"], (), BRATS, ".nii.gz")
    said = doubt.no_images(Path("in"), names, BRATS, ".nii.gz")
    assert "The input folder in has no image named CASE_XXXX.nii.gz" in said
    assert "It has 2 file(s) that could be images under another name, e.g. a_T1.nii." in said
