"""Label classes on the command line."""

from __future__ import annotations

import json

import numpy as np
import pytest
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunet_hetero.dataset_conversion.brats import PLAIN_LABELS, REGIONS, REGIONS_CLASS_ORDER
from nnunet_hetero.dataset_conversion.writing.classes import read_classes
from nnunet_hetero.dataset_conversion.writing.dataset import LabelScheme
from nnunet_hetero.errors import SettingsError

BRATS_REGIONS = ["whole_tumor=1+2+4", "tumor_core=1+4", "enhancing_tumor=4"]


class TestClasses:
    def test_are_numbered_by_value(self):
        assert read_classes(["enhancing_tumor=4", "necrotic_core=1", "edema=2"]) == LabelScheme(
            PLAIN_LABELS, {0: 0, 1: 1, 2: 2, 4: 3}
        )

    def test_regions_are_those_of_the_brats_converter(self):
        assert read_classes(BRATS_REGIONS) == LabelScheme(REGIONS, {0: 0, 1: 1, 2: 2, 4: 3}, REGIONS_CLASS_ORDER)

    def test_ignore_gets_the_highest_number(self):
        assert read_classes(["a=7", "ignore=3", "b=9"]) == LabelScheme(
            {"background": 0, "a": 1, "b": 2, "ignore": 3}, {0: 0, 7: 1, 9: 2, 3: 3}
        )

    def test_json_file(self, tmp_path):
        file = tmp_path / "classes.json"
        file.write_text(json.dumps({"whole_tumor": [1, 2, 4], "tumor_core": [4, 1], "enhancing_tumor": 4}))
        assert read_classes([str(file)]) == read_classes(BRATS_REGIONS)

    def test_nnunet_turns_regions_back_into_the_labels(self):
        scheme = read_classes(["a=1+2+3+4", "b=2+3", "c=3", "d=4", "ignore=9"])
        content = {"labels": scheme.labels, "regions_class_order": scheme.regions_class_order}
        manager = PlansManager({"label_manager": "LabelManager", "configurations": {}}).get_label_manager(content)
        labels = np.arange(5).reshape(1, 1, 5)
        regions = [np.isin(labels, np.atleast_1d(scheme.labels[name])) for name in "abcd"]
        back = manager.convert_probabilities_to_segmentation(np.stack(regions).astype(np.float32))
        assert np.array_equal(back, labels)
        assert manager.ignore_label == 5

    @pytest.mark.parametrize(
        ("entries", "message"),
        [
            (["lesion"], "'lesion' is not NAME=VALUE"),
            (["=1"], "'=1' is not NAME=VALUE"),
            (["a=1", "a=2"], "'a=2' is not NAME=VALUE with a name of its own"),
            (["a=0"], "a=0 is not possible"),
            (["a=1.5"], "a=1.5 is not possible"),
            (["a=1+1"], r"a=1\+1 is not possible"),
            (["background=1"], "background=1 is not possible"),
            (["a=1", "b=1"], "gives one value two names: a=1 b=1"),
            (["ignore=1"], "names no class"),
            (["a=1", "ignore=2+3"], "'ignore' takes one value"),
            (["core=1", "whole=1+2"], "of the values of 'core', 0 are in no later region"),
            (["whole=1+2+3", "core=1"], "of the values of 'whole', 2 are in no later region"),
            (["none.json"], "none.json is not there"),
        ],
    )
    def test_bad_entries(self, entries, message):
        with pytest.raises(SettingsError, match=message):
            read_classes(entries)
