"""Names and subsets."""

from __future__ import annotations

import pytest

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.modalities import Modalities, all_subsets, mask_of, parse_subsets

BRATS = Modalities(("T1", "T1c", "T2", "FLAIR"))


class TestNames:
    @pytest.mark.parametrize(
        ("dataset_json", "names"),
        [
            ({"channel_names": {"0": "T1", "1": "T2"}}, ("T1", "T2")),
            ({"channel_names": {"2": "c", "1": "b", "0": "a"}}, ("a", "b", "c")),
            # As nnU-Net's own writer sorts them.
            (
                {"channel_names": {str(n): f"m{n}" for n in sorted(range(12), key=str)}},
                tuple(f"m{n}" for n in range(12)),
            ),
            ({"channel_names": {"0": "T1", "1": " T1c "}}, ("T1", "T1c")),
            ({"channel_names": {0: "T1", 1: "T2"}}, ("T1", "T2")),
            ({"channel_names": {"0": "CT", "1": "ct2"}}, ("CT", "ct2")),
            ({"modality": {"0": "CT"}}, ("CT",)),
        ],
    )
    def test_of_dataset_json(self, dataset_json, names):
        assert Modalities.from_dataset_json(dataset_json).names == names

    def test_dataset_json_without_names(self):
        with pytest.raises(SettingsError, match="no 'channel_names'"):
            Modalities.from_dataset_json({"labels": {}})

    @pytest.mark.parametrize(
        "channels",
        [
            {"0": "T1", "2": "T2"},
            {"1": "T1", "2": "T2"},
            {"0000": "T1", "0001": "T2"},
            {"T1": 0, "T2": 1},
            {"0": "T1", "-1": "T2"},
            {"0": "T1", "²": "T2"},
            ["T1", "T2"],
            "T1",
        ],
    )
    def test_keys_that_are_no_channel_numbers(self, channels):
        with pytest.raises(SettingsError, match=r"'channel_names' in dataset\.json is .*; expected is an object"):
            Modalities.from_dataset_json({"channel_names": channels})

    @pytest.mark.parametrize("name", ["", "  "])
    def test_an_empty_name(self, name):
        with pytest.raises(SettingsError, match="every channel needs a name"):
            Modalities.from_dataset_json({"channel_names": {"0": "T1", "1": name}})

    @pytest.mark.parametrize(
        "channels", [{"1": "T1", "0": "CT"}, {"0": "T1", "1": "CT "}, {"0": "nonorm\t", "1": "T1"}]
    )
    def test_names_that_nnunet_would_normalise_otherwise(self, channels):
        with pytest.raises(SettingsError, match=r"nnU-Net would choose the normalisations .* plan again"):
            Modalities.from_dataset_json({"channel_names": channels})

    def test_names_that_differ_by_a_blank_are_one(self):
        with pytest.raises(SettingsError, match=r"more than once.*\['t1'\]"):
            Modalities.from_dataset_json({"channel_names": {"0": "T1", "1": "T1 "}})

    def test_the_same_name_twice(self):
        with pytest.raises(SettingsError, match=r"more than once.*\['t1'\]"):
            Modalities(("T1", "T2", "t1"))

    @pytest.mark.parametrize(("name", "number"), [("FLAIR", 3), (" t1C", 1), ("2", 2), (0, 0)])
    def test_index(self, name, number):
        assert BRATS.index(name) == number

    @pytest.mark.parametrize("name", ["T3", "4", "-1", "", 7])
    def test_unknown(self, name):
        with pytest.raises(SettingsError, match=r"Unknown modality.*T1 \(0\), T1c \(1\), T2 \(2\), FLAIR \(3\)"):
            BRATS.index(name)

    def test_a_name_that_looks_like_a_number_wins(self):
        assert Modalities(("1", "0")).index("1") == 0

    @pytest.mark.parametrize(
        ("names", "subset"),
        [
            (["FLAIR", "T1"], (0, 3)),
            (["flair,t1"], (0, 3)),
            (["T1c + T2", 0], (0, 1, 2)),
            ([], ()),
        ],
    )
    def test_parse(self, names, subset):
        assert BRATS.parse(names) == subset

    def test_parse_the_same_twice(self):
        with pytest.raises(SettingsError, match="--missing: modality 'T1' is named more than once"):
            BRATS.parse(["T1", "0"], what="--missing")

    @pytest.mark.parametrize(("subset", "label"), [((3, 0), "T1+FLAIR"), ((), "none")])
    def test_label(self, subset, label):
        assert BRATS.label(subset) == label


class TestSubsets:
    @pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
    def test_all_of_them_once_by_size(self, number):
        subsets = all_subsets(number)
        assert len(set(subsets)) == len(subsets) == 2**number - 1
        assert subsets == sorted(subsets, key=lambda subset: (len(subset), subset))

    def test_mask(self):
        assert mask_of((0, 3), 4).tolist() == [True, False, False, True]
        assert mask_of((), 2).tolist() == [False, False]


class TestNamedSubsets:
    def test_a_network_for_one_subset_is_evaluated_on_it(self):
        modalities = Modalities(("T1", "T1c", "T2"))
        assert parse_subsets(modalities, None, (0, 2)) == [(0, 2)]
        assert parse_subsets(modalities, ["t2+t1"], (0, 2)) == [(0, 2)]
        with pytest.raises(SettingsError, match=r"'T1' is not for this network, which is for T1\+T2 alone"):
            parse_subsets(modalities, ["T1"], (0, 2))

    def test_all_of_them_or_those_that_are_named_by_size(self):
        modalities = Modalities(("T1", "T1c", "T2"))
        assert parse_subsets(modalities, None) == [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)]
        assert parse_subsets(modalities, ["T2+T1", "T2"]) == [(2,), (0, 2)]
        with pytest.raises(SettingsError, match="'t1' is empty or the same subset"):
            parse_subsets(modalities, ["T1", "t1"])
