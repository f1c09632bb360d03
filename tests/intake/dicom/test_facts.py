"""What a proposal needs to know of a series."""

from __future__ import annotations

from helpers.cohorts.dicom_study import header

from nnunet_hetero.intake.dicom.facts import facts_of


def test_a_series():
    directions = ([1, 0, 0, 0, 1, 0], [1, 0, 0, 0, 1, 1e-4], [1, 0, 0, 0, 0, 1])
    headers = [header(Modality="MR", ImageOrientationPatient=list(cosines)) for cosines in directions]
    headers[1].DiffusionBValue = 1000.0
    facts = facts_of([("a", one) for one in headers], "S1")
    assert (facts.modality, facts.images, facts.orientations, facts.b_value) == ("MR", 3, 2, 1000.0)
    assert facts.folder == "S1" and not facts.is_derived


def test_an_enhanced_object():
    """All slices in one file, times and agent in nested groups."""
    shared = header(
        MREchoSequence=[header(EffectiveEchoTime=95.0)],
        MRTimingAndRelatedParametersSequence=[header(RepetitionTime=5000.0)],
        MRImageFrameTypeSequence=[header(FrameType=["ORIGINAL", "PRIMARY"])],
    )
    enhanced = header(
        Modality="MR",
        NumberOfFrames=2,
        EchoPulseSequence="SPIN",
        EchoPlanarPulseSequence="YES",
        ContrastBolusAgentSequence=[header(CodeMeaning="Gadobutrol")],
        SharedFunctionalGroupsSequence=[shared],
        PerFrameFunctionalGroupsSequence=[header(), header()],
    )
    facts = facts_of([("a", enhanced)], "")
    assert (facts.images, facts.echo_time, facts.repetition_time) == (2, 95.0, 5000.0)
    assert facts.scanning_sequence == ("SE", "EP") and facts.agent == "Gadobutrol"
    assert facts.image_type == ("ORIGINAL", "PRIMARY")


def test_frames_without_places():
    facts = facts_of([("a", header(Modality="US", NumberOfFrames=7))], "")
    assert (facts.modality, facts.images) == ("US", 1)
