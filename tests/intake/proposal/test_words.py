"""Descriptions as they are found in hospitals, and what they mean."""

from __future__ import annotations

import pytest

from nnunet_hetero.intake.proposal.verdict import Vocabulary
from nnunet_hetero.intake.proposal.words import told_by
from nnunet_hetero.modalities import Modalities

BRATS = Vocabulary(Modalities(("T1", "T1c", "T2", "FLAIR")))


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("t1_mprage_tra KM", ("T1c",)),
        ("t1_mpr_ns_sag", ("T1",)),
        ("AX T1 +C", ("T1c",)),
        ("Ax T1 C+", ("T1c",)),
        ("3D T1 BRAVO+C", ("T1c",)),
        ("sT1W_3D_TFE GD", ("T1c",)),
        ("eT1w post Gadovist", ("T1c",)),
        ("T1_se_cor_fs_post_contrast", ("T1c",)),
        ("T1 +Gd", ("T1c",)),
        ("MPRAGE", ("T1",)),
        ("T1 pre contrast", ("T1",)),
        ("T1 ohne KM", ("T1",)),
        ("T1 w/o contrast", ("T1",)),
        ("T1 post", ("T1", "T1c")),
        ("t1_se_tra_post", ("T1", "T1c")),
        ("T2 nach KM", ("T2",)),
        ("T2W_TSE", ("T2",)),
        ("t2_tirm_tra_dark-fluid", ("FLAIR",)),
        ("t2_spc_da-fl_sag_p2", ("FLAIR",)),
        ("Sag CUBE T2 FLAIR", ("FLAIR",)),
        ("T1 FLAIR", ("FLAIR", "T1")),
        ("Serie 4", ()),
    ],
)
def test_kinds(text, kinds):
    told = told_by(text, BRATS)
    assert (told.kinds, told.excluded) == (kinds, None)


@pytest.mark.parametrize(
    ("text", "agent", "denied"),
    [("T1 ohne KM", False, True), ("T1 KM", True, False), ("T1", False, False), ("T1 post", None, False)],
)
def test_contrast_agent(text, agent, denied):
    told = told_by(text, BRATS)
    assert (told.agent, told.denied) == (agent, denied)


@pytest.mark.parametrize("text", ["T2*_fl2d_tra", "T2 star", "T2W_FFE", "t2_fl2d_tra_hemo"])
def test_t2_star_is_no_t2(text):
    told = told_by(text, BRATS)
    assert told.kinds == () and "another sequence" in told.excluded


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("ep2d_diff_ADC", "a derived map"),
        ("SUB T1", "a derived map"),
        ("rCBV", "a derived map"),
        ("Loc", "a localizer"),
        ("Survey", "a localizer"),
        ("AAHead_Scout", "a localizer"),
        ("TOF 3D", "another sequence"),
        ("SWI", "another sequence"),
    ],
)
def test_no_image_to_segment(text, what):
    assert what in told_by(text, BRATS).excluded


def test_a_modality_of_the_model_is_no_other_sequence():
    prostate = Vocabulary(Modalities(("T2", "ADC", "DWI")))
    assert told_by("ADC", prostate).excluded is None and told_by("ADC", prostate).kinds == ("ADC",)
