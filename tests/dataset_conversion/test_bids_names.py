"""Names of BIDS images, and what people write besides."""

from __future__ import annotations

import pytest

from nnunet_hetero.dataset_conversion.bids_names import CHANNELS, entities, meaning

MODALITIES = {
    "T1w": "T1",
    "T2w": "T2",
    "FLAIR": "FLAIR",
    "ce-gad_T1w": "T1c",
    "ce-gadolinium_run-1_T1w": "T1c",
    "ses-02_acq-highres_run-2_T1w": "T1",
    "space-T1w_desc-preproc_T1w": "T1",
    "acq-postop_T1w": "T1",
    # Other letters, and other words for one thing.
    "flair": "FLAIR",
    "Flair": "FLAIR",
    "T2W": "T2",
    "t1w": "T1",
    "T1ce": "T1c",
    "t1Gd": "T1c",
    "T2FLAIR": "FLAIR",
    "acq-gad_T1w": "T1c",
    "acq-postcontrast_T1w": "T1c",
    "acq-precontrast_T1w": "T1",
}
DOUBTFUL = {
    "acq-post_T1w": ("T1", "T1c"),
    "acq-pre_T1w": ("T1", "T1c"),
    "acq-contrast2_T1w": ("T1", "T1c"),
    "ce-none_T1w": ("T1", "T1c"),
    "ce-gad_FLAIR": ("FLAIR",),
    "ce-gad_T2w": ("T2",),
    "T1": ("T1", "T1c"),
    "T2": ("T2",),
    "UNIT1": ("T1", "T1c"),
    "inplaneT2": ("T2",),
    "part-phase_T1w": ("T1", "T1c"),
    "fliar": CHANNELS,
    "T1w (1)": ("T1", "T1c"),
}
OTHERS = ("PDw", "T2starw", "T1map", "dseg", "swi", "angio", "T1rho")


@pytest.mark.parametrize("end", MODALITIES)
def test_one_meaning(end):
    assert meaning(f"sub-01_{end}").modality == MODALITIES[end]


@pytest.mark.parametrize("end", DOUBTFUL)
def test_doubtful(end):
    found = meaning(f"sub-01_{end}")
    assert found.modality is None and found.may_be == DOUBTFUL[end]


@pytest.mark.parametrize("end", OTHERS)
def test_other_kinds(end):
    found = meaning(f"sub-01_{end}")
    assert found.modality is None and found.may_be == ()


def test_the_users_word_goes_first():
    assert meaning("sub-01_acq-post_T1w", {"acq-post_T1w": "T1c"}).modality == "T1c"
    assert meaning("sub-01_T1w", {"acq-post_T1w": "T1c"}).modality == "T1"


@pytest.mark.parametrize("stem", ["T1", "sub01_T1w", "sub-01-T1w", "sub-01_run_1_T1w"])
def test_names_that_are_none(stem):
    assert meaning(stem).may_be == ("T1", "T1c")


def test_entities():
    assert entities("sub-01_ses-a_ce-gad_T1w.nii.gz") == {"sub": "01", "ses": "a", "ce": "gad"}
