"""What a file in the folder of a case is, by its name."""

from __future__ import annotations

import pytest

from nnunet_hetero.intake.proposal.names import verdict_of_name
from nnunet_hetero.intake.proposal.verdict import Vocabulary
from nnunet_hetero.modalities import Modalities

BRATS = Vocabulary(Modalities(("T1", "T1c", "T2", "FLAIR")))


@pytest.mark.parametrize(
    ("path", "modality", "confidence"),
    [
        ("p7_0003.nii.gz", "FLAIR", "sure"),
        ("Brats18_2013_1_1_t1ce.nii.gz", "T1c", "sure"),
        ("BraTS-GLI-00001-000-t2f.nii.gz", "FLAIR", "sure"),
        ("sub-01_ce-gad_T1w.nii.gz", "T1c", "sure"),
        ("anat/sub-01_T2w.nii.gz", "T2", "sure"),
        ("T1.mha", "T1", "sure"),
        ("T1c/bild.nrrd", "T1c", "likely"),
        ("T1c/scan 2/bild.nrrd", "T1c", "likely"),
        ("seg.nii.gz", "", "sure"),
        ("p7_tumour_mask.nii.gz", "", "sure"),
        ("ADC.nii.gz", "", "sure"),
        ("sub-01_dwi.nii.gz", "", "sure"),
    ],
)
def test_told(path, modality, confidence):
    verdict = verdict_of_name(path, "p7", BRATS)
    assert (verdict.modality, verdict.confidence, verdict.may_be) == (modality, confidence, ())


@pytest.mark.parametrize(
    ("path", "may_be"),
    [
        ("bild.nii.gz", ("T1", "T1c", "T2", "FLAIR")),
        ("IMG_0001.nii.gz", ("T1c",)),  # the second image, or the first T1c?
        ("T1_post.nii.gz", ("T1", "T1c")),
        ("sub-01_acq-post_T1w.nii.gz", ("T1", "T1c")),
        ("sub_T1.nii.gz", ("T1",)),
    ],
)
def test_doubtful(path, may_be):
    verdict = verdict_of_name(path, "p7", BRATS)
    assert (verdict.modality, verdict.confidence, verdict.may_be) == ("", "doubtful", may_be)


def test_the_name_of_a_patient_says_nothing():
    assert verdict_of_name("T1 Loc_T2.nii.gz", "T1 Loc", BRATS).modality == "T2"
    assert verdict_of_name("gd-7_t1.nii.gz", "gd-7", BRATS).modality == "T1"
