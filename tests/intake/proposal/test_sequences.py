"""What a DICOM series is, by description, times and contrast agent."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nnunet_hetero.intake.proposal.sequences import SeriesFacts, verdict_of_series
from nnunet_hetero.intake.proposal.verdict import Vocabulary
from nnunet_hetero.modalities import Modalities

BRATS = Vocabulary(Modalities(("T1", "T1c", "T2", "FLAIR")))
MR = SeriesFacts("MR", 30)
T1 = replace(MR, scanning_sequence=("GR", "IR"), echo_time=3, repetition_time=1900, inversion_time=900)
SPIN_ECHO = replace(MR, scanning_sequence=("SE",), echo_time=12, repetition_time=550)
T1_FLAIR = replace(MR, scanning_sequence=("SE", "IR"), echo_time=24, repetition_time=2500, inversion_time=860)
T2 = replace(MR, scanning_sequence=("SE",), echo_time=95, repetition_time=5000)
FLAIR = replace(MR, scanning_sequence=("SE", "IR"), echo_time=120, repetition_time=8000, inversion_time=2250)
PD = replace(MR, scanning_sequence=("SE",), echo_time=20, repetition_time=3000)
T2_STAR = replace(MR, scanning_sequence=("GR",), echo_time=20, repetition_time=600)


@pytest.mark.parametrize(
    ("facts", "modality", "confidence"),
    [
        (replace(T1, description="t1_mprage_tra"), "T1", "likely"),  # an empty field is no proof
        (replace(T1, description="T1 pre contrast"), "T1", "sure"),
        (replace(T1, description="T1 nativ", protocol="t1_mprage_KM"), "T1", "sure"),
        (replace(T1, description="t1_mprage", agent="Gadovist"), "T1c", "sure"),
        (replace(T1, description="t1_mprage_KM"), "T1c", "likely"),
        (replace(T1, agent="Gadovist"), "T1c", "likely"),
        (replace(T1, description="T1 post", agent="Dotarem"), "T1c", "sure"),
        (SPIN_ECHO, "T1", "likely"),
        (replace(T1_FLAIR, description="Ax T1 FLAIR"), "T1", "likely"),
        (replace(T2, description="t2_tse"), "T2", "sure"),
        (replace(T2, description="t2_tse", agent="Gadovist"), "T2", "sure"),
        (T2, "T2", "likely"),
        (replace(FLAIR, description="t2_tirm_tra_dark-fluid"), "FLAIR", "sure"),
        (replace(MR, description="FLAIR"), "FLAIR", "likely"),
        (replace(FLAIR, protocol="flair 3D"), "FLAIR", "sure"),
        (replace(MR, folder="T2"), "T2", "likely"),
    ],
)
def test_told(facts, modality, confidence):
    verdict = verdict_of_series(facts, BRATS)
    assert (verdict.modality, verdict.confidence) == (modality, confidence), verdict.why


@pytest.mark.parametrize(
    ("facts", "may_be"),
    [
        (replace(T1, description="T1 post"), ("T1", "T1c")),
        (replace(T1, description="T1 ohne KM", agent="Gadovist"), ("T1", "T1c")),
        (replace(T2, description="T1 tse"), ("T1", "T2")),
        (replace(FLAIR, description="t2 tse"), ("T2", "FLAIR")),
        (replace(PD, description="T2"), ("T2",)),
        (replace(FLAIR, description="FLAIR", agent="Gadovist"), ("FLAIR",)),
        (MR, ("T1", "T1c", "T2", "FLAIR")),
        (replace(T1, images=1, description="T1"), ("T1",)),
        (replace(T1, description="t1_mprage", protocol="t1_mprage_KM"), ("T1", "T1c")),
        (replace(T1, description="SUB T1"), ("T1",)),
        (replace(T1, orientations=2, description="T1 MPRAGE"), ("T1",)),
        (SeriesFacts("", 30), ("T1", "T1c", "T2", "FLAIR")),
    ],
)
def test_doubtful(facts, may_be):
    verdict = verdict_of_series(facts, BRATS)
    assert (verdict.modality, verdict.confidence, verdict.may_be) == ("", "doubtful", may_be), verdict.why


@pytest.mark.parametrize(
    ("facts", "word"),
    [
        (replace(T1, orientations=3), "localizer"),
        (replace(T1, orientations=3, description="Loc T1"), "localizer"),
        (replace(T1, image_type=("ORIGINAL", "PRIMARY", "LOCALIZER")), "localizer"),
        (replace(MR, description="Survey"), "localizer"),
        (replace(T2, image_type=("DERIVED", "PRIMARY", "DIFFUSION", "ADC")), "derived map"),
        (replace(MR, description="rCBV"), "derived map"),
        (replace(T1, image_type=("DERIVED", "SECONDARY", "MIP")), "derived map"),
        (replace(T2, b_value=1000.0), "another sequence"),
        (PD, "another sequence"),
        (T2_STAR, "another sequence"),
        (SeriesFacts("SEG", 1), "no image"),
        (SeriesFacts("CT", 40, description="CCT"), "the model has no CT"),
    ],
)
def test_not_used(facts, word):
    verdict = verdict_of_series(facts, BRATS)
    assert (verdict.modality, verdict.may_be) == ("", ()) and word in verdict.why


def test_other_models():
    prostate = Vocabulary(Modalities(("T2", "ADC")))
    adc = replace(T2, description="ep2d_diff_ADC", image_type=("DERIVED", "PRIMARY", "DIFFUSION", "ADC"))
    assert verdict_of_series(adc, prostate).modality == "ADC"
    hecktor = Vocabulary(Modalities(("CT", "PET")))
    assert verdict_of_series(SeriesFacts("CT", 90), hecktor).modality == "CT"
    assert verdict_of_series(SeriesFacts("PT", 90), hecktor).modality == "PET"


@pytest.mark.parametrize(
    ("facts", "part"),
    [
        (replace(MR, body_part="BRAIN"), "head"),
        (replace(MR, body_part="LSPINE"), "spine"),
        (replace(MR, description="t2 HWS sag"), "spine"),
        (replace(MR, description="t2 tse"), ""),
    ],
)
def test_part_of_the_body(facts, part):
    assert facts.part == part
