"""What names of files say."""

from __future__ import annotations

import pytest

from nnunet_hetero.cases.naming.names import Doubtful, channels_in, image_name, sort_names, split_ending
from nnunet_hetero.modalities import Modalities

BRATS = Modalities(("T1", "T1c", "T2", "FLAIR"))


def sort(*files, folders=()):
    return sort_names(files, folders, BRATS, ".nii.gz")


@pytest.mark.parametrize(
    ("name", "parsed"),
    [
        ("a_0001.nii.gz", ("a", 1)),
        ("CASE_1_0000.nii.gz", ("CASE_1", 0)),
        ("a_0017.nii.gz", ("a", 17)),
        ("a_001.nii.gz", None),
        ("a_0001.nii", None),
        ("a_0001.NII.GZ", None),
        ("a-0001.nii.gz", None),
        ("_0001.nii.gz", None),
    ],
)
def test_image_name(name, parsed):
    assert image_name(name, ".nii.gz") == parsed


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("a.nii.gz", ("a", ".nii.gz")),
        ("a.NII.GZ", ("a", ".NII.GZ")),
        ("a.b.nrrd", ("a.b", ".nrrd")),
        ("a.nii.gz.part", ("a", ".nii.gz.part")),
        ("a.nii~", ("a", ".nii~")),
        ("a", ("a", "")),
        ("a.json", ("a.json", "")),
        (".nii", (".nii", "")),
    ],
)
def test_split_ending(name, parts):
    assert split_ending(name) == parts


@pytest.mark.parametrize(
    ("text", "channels"),
    [
        ("_0001", (1,)),
        ("0001", (1,)),
        ("-0003", (3,)),
        ("_1", (0, 1)),  # counted from 1, or from 0
        ("_001", (0, 1)),
        ("_4", (3,)),
        ("_5", ()),
        ("_17", ()),
        ("1", ()),
        ("ch2", (1, 2)),
        ("_0001 (1)", (1,)),
        ("_0002 - Copy", (2,)),
        ("_T1c", (1,)),
        ("_t1ce_brain", (1,)),
        ("_t2-flair", (3,)),
        ("_T2w", (2,)),
        ("_T1_to_T2", (0, 2)),
        ("_O001", (1,)),  # letters for digits
        ("_000l", (1,)),
        ("_Oloo", ()),
        ("_head", ()),
        ("", ()),
    ],
)
def test_channels_in_the_rest_of_a_name(text, channels):
    assert channels_in(text, BRATS) == channels


def test_names_of_other_modalities_are_no_synonyms():
    both = Modalities(("T1w", "T1ce", "T1post"))
    assert channels_in("_T1ce", both) == (1,)
    assert channels_in("_t1post", both) == (2,)
    assert channels_in("_t1", both) == (0,)


class TestDoubtful:
    @pytest.mark.parametrize(
        "name",
        [
            *("X_0001.nii", "X_0001.NII.GZ", "X_0001.nrrd", "X_0001.hdr", "X_0001.png", "X_0001", "X_0001.nii.gz.part"),
            *("X-0001.nii.gz", "X__0001.nii.gz", "X0001.nii.gz", "X 0001.nii.gz", "X.0001.nii.gz", "X_0001_.nii.gz"),
            *("x_0001.nii", "X_0001(1).nii.gz", "X_0001 (1).nii.gz", "X_0001 - Copy.nii.gz", "X_0001_brain.nii.gz"),
            *("X_T1c.nii.gz", "X_t1ce.nii", "X_ax_T1c_reg.nii.gz", "X_T1Gd.nii.gz", "X_O001.nii.gz", "X_000l.nii.gz"),
            *(".X_0001.nii.gz.icloud", ".X_0001.nii.gz.aB3xYz"),  # not here yet
        ],
    )
    def test_could_be_channel_1_of_a_case_that_is_there(self, name):
        assert dict(sort("X_0000.nii.gz", name).doubtful) == {"X": [Doubtful(name, (1,))]}

    @pytest.mark.parametrize("name", ["X_1.nii.gz", "X_001.nii.gz", "X_01.nii", "X_00001.nii.gz"])
    def test_numbers_that_may_count_from_one(self, name):
        assert dict(sort("X_0000.nii.gz", name).doubtful) == {"X": [Doubtful(name, (0, 1))]}

    @pytest.mark.parametrize(
        "name",
        [
            *("X.nii.gz", "x.nii.gz", "X_seg.nii.gz", "X_T1c_mask.nii.gz", "X_0001_seg.nii.gz", "X_brainmask.nii.gz"),
            *("X_0001.json", "X_T1c.txt", "._X_0001.nii.gz", ".X_0001.nii", "X_17.nii.gz", "X_head.nii.gz", "notes.md"),
            *("label.nii.gz", "label_1.nii.gz", "preview_0001.png", "X_0001_0000.json"),
        ],
    )
    def test_is_none(self, name):
        assert not sort("X_0000.nii.gz", name).doubtful

    def test_word_for_labels_in_the_name_of_a_case(self):
        found = sort("lesion_1_0000.nii.gz", "lesion_1_0001.nii", "lesion_1_T2.nii.gz", "lesion_1_mask.nii.gz").doubtful
        assert {one.name for one in found["lesion_1"]} == {"lesion_1_0001.nii", "lesion_1_T2.nii.gz"}

    def test_series_of_images_in_a_folder(self):
        found = sort("X_0000.nii.gz", folders=("X_0001", "X_0002.nii.gz", "X", "old", ".X_0003", "Y_0001")).doubtful
        assert dict(found) == {"X": [Doubtful("X_0001/", (1,)), Doubtful("X_0002.nii.gz/", (2,))]}

    @pytest.mark.parametrize(
        ("name", "case"),
        [
            *(("b_0001.nii", "b"), ("b-0001.nii.gz", "b"), ("b_1 (2).nii.gz", "b"), ("b_T1c.nii.gz", "b")),
            *(("X1_0001.nii", "X1"), ("X_brain_0001.nii", "X_brain")),
        ],
    )
    def test_case_without_any_image(self, name, case):
        (found,) = sort("X_0000.nii.gz", name).doubtful.items()
        assert found[0] == case and found[1][0].name == name

    def test_longest_name_of_a_case_wins(self):
        found = sort("pat_1_0000.nii.gz", "pat_1_2_0000.nii.gz", "pat_0000.nii.gz", "pat_1_2_0001.nii", "pat_1_T2.nii")
        assert {case: files[0].name for case, files in found.doubtful.items()} == {
            "pat_1_2": "pat_1_2_0001.nii",
            "pat_1": "pat_1_T2.nii",
        }


class TestNoFalseAlarm:
    def test_cases_whose_names_begin_alike(self):
        names = sort("CASE_0000.nii.gz", "CASE_1_0000.nii.gz", "CASE_1_0001.nii.gz")
        assert sorted(names.images) == ["CASE", "CASE_1"]
        assert not (names.doubtful or names.labels or names.claimed or names.others)

    def test_case_whose_name_ends_like_a_channel(self):
        names = sort("A_0000.nii.gz", "A_0001.nii.gz", "A_0000_0000.nii.gz")
        assert sorted(names.images) == ["A", "A_0000"]
        assert not (names.doubtful or names.labels or names.claimed)

    def test_label_maps_beside_the_images(self):
        files = ["B_001_0000.nii.gz", "B_003_0000.nii.gz", "B_001.nii.gz", "B_002.nii.gz", "B_003.nii.gz"]
        names = sort(*files)
        assert sorted(names.images) == ["B_001", "B_003"] and not names.doubtful
        assert names.others == ["B_001.nii.gz", "B_002.nii.gz", "B_003.nii.gz"]

    def test_label_maps_with_four_digits(self):
        names = sort("B_0001_0000.nii.gz", "B_0002_0000.nii.gz", "B_0001.nii.gz", "B_0002.nii.gz")
        assert sorted(names.images) == ["B_0001", "B_0002"]
        assert names.labels == ["B_0001.nii.gz", "B_0002.nii.gz"]

    def test_image_or_label_map(self):
        assert sort("B_0001_0000.nii.gz", "B_0001.nii.gz").claimed == {"B"}

    @pytest.mark.parametrize("name", [".X_0001.nii.gz.0a1b2c3d-17-4711-0.draft", ".DS_Store", "._X_0001.nii.gz"])
    def test_other_hidden_files_are_none(self, name):
        assert not sort("X_0000.nii.gz", name).doubtful

    def test_words_of_unknown_meaning(self):
        names = ("X_post.nii.gz", "X_17.nii", "X_seg.nii.gz", "X.nii.gz", "X_a.json", "Xa.nii.gz", "b.nii.gz")
        assert dict(sort("X_0000.nii.gz", *names).unknown) == {"X": ["X_17.nii", "X_post.nii.gz"]}
