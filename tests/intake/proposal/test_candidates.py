"""Several images that could be one modality."""

from __future__ import annotations

from nnunet_hetero.intake.proposal.candidates import Candidate, compared
from nnunet_hetero.intake.proposal.verdict import Verdict


def candidate(source: str, modality: str = "T1c", **more) -> Candidate:
    return Candidate(source, Verdict(modality, "sure", "named so"), **more)


def test_none_of_two_is_chosen():
    first, second, other = compared([candidate("a"), candidate("b"), candidate("c", "T2")])
    assert first.modality == second.modality == "" and other.modality == "T2"
    assert first.may_be == second.may_be == ("T1c",) and "b could be the T1c" in first.why


def test_a_reformatted_one_gives_way_to_its_original():
    original, made = compared([candidate("a"), candidate("b", derived=True)])
    assert original.modality == "T1c"
    assert (made.modality, made.may_be) == ("", ()) and "there is a" in made.why


def test_a_reformatted_one_alone_is_used():
    assert compared([candidate("a", derived=True)])[0].modality == "T1c"
    assert [one.may_be for one in compared([candidate("a", derived=True), candidate("b", derived=True)])] == [
        ("T1c",),
        ("T1c",),
    ]


def test_two_originals_are_doubtful_whatever_was_made_of_them():
    verdicts = compared([candidate("a"), candidate("b"), candidate("c", derived=True)])
    assert [one.may_be for one in verdicts] == [("T1c",), ("T1c",), ()]


def test_another_part_of_the_body():
    brain = [candidate("a", "T1c", part="head"), candidate("b", "T2", part="head"), candidate("d", "FLAIR")]
    verdicts = compared([*brain, candidate("c", "T1", part="spine")])
    assert [one.modality for one in verdicts] == ["T1c", "T2", "FLAIR", ""]
    assert "shows the spine" in verdicts[3].why
    # A spine's T2 is no rival of the brain's.
    assert compared([*brain, candidate("c", "T2", part="spine")])[1].modality == "T2"


def test_two_parts_with_nothing_between_them():
    verdicts = compared([candidate("a", "T1c", part="head"), candidate("b", "T2", part="spine")])
    assert [one.may_be for one in verdicts] == [("T1c",), ("T2",)]


def test_a_part_that_one_image_names_and_the_others_do_not():
    others = [candidate("a", "T1c"), candidate("b", "FLAIR")]
    *kept, breast = compared([*others, candidate("c", "T2", part="trunk")])
    assert [one.modality for one in kept] == ["T1c", "FLAIR"]
    assert (breast.modality, breast.may_be) == ("", ("T2",)) and "shows the trunk" in breast.why
    assert compared([*others, candidate("c", "T2", part="head")])[2].modality == "T2"
    # A model of that part has such cases; an image that is not used does not count.
    whole = [candidate("a", "T1c", part="trunk"), candidate("b", "T2", part="trunk"), candidate("c", "")]
    assert [one.modality for one in compared(whole)] == ["T1c", "T2", ""]
