"""Many cases on their way to the model: all come out, in their order, the spoilt ones with a reason."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.tiny_model import SHAPE, tiny_dataset_json, tiny_plans, write_case, write_image
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunet_hetero.cases.find import find_cases
from nnunet_hetero.cases.preparation import Preparation
from nnunet_hetero.cases.prepare import Failure, prepare_cases
from nnunet_hetero.config import KEY
from nnunet_hetero.errors import SettingsError
from nnunet_hetero.modalities import Modalities

ALL = (0, 1, 2, 3)


def preparation(**settings) -> Preparation:
    content = tiny_plans()
    content["configurations"]["3d_fullres"][KEY] = settings
    plans = PlansManager(content)
    return Preparation(plans, plans.get_configuration("3d_fullres"), tiny_dataset_json())


def cases_of(folder):
    return find_cases(folder, Modalities.from_dataset_json(tiny_dataset_json()), ".nii.gz")


@pytest.mark.parametrize("num_processes", [0, 1])
def test_in_their_order_and_a_spoilt_one_does_not_stop_the_others(tmp_path, num_processes):
    for seed, name in enumerate("abc"):
        write_case(tmp_path, name, present=(0, 2), seed=seed)
    write_image(tmp_path / "b_0002.nii.gz", np.full(SHAPE, np.nan, np.float32))
    found = list(prepare_cases(cases_of(tmp_path), preparation(), ALL, num_processes))
    assert [case.name for case, _, _ in found] == ["a", "b", "c"]
    first, spoilt, last = (outcome for _, outcome, _ in found)
    assert isinstance(spoilt, Failure) and spoilt.step == "reading"
    assert "b_0002.nii.gz" in spoilt.reason and "NaN" in spoilt.reason
    for prepared in (first, last):
        assert (prepared.data != 0).reshape(4, -1).any(1).tolist() == [True, False, True, False]
    assert not np.array_equal(first.data, last.data)
    assert all(seconds > 0 for _, _, seconds in found)


def test_only_what_may_be_used_is_there(tmp_path):
    write_case(tmp_path, "a")
    ((_, prepared, _),) = prepare_cases(cases_of(tmp_path), preparation(), (1, 3), 0)
    assert (prepared.data != 0).reshape(4, -1).any(1).tolist() == [False, True, False, True]


def test_what_fails_after_reading_is_named_so(tmp_path):
    write_case(tmp_path, "a")
    content = tiny_plans()
    content["configurations"]["3d_fullres"]["normalization_schemes"] = ["NoSuchNormalization"] * 4
    plans = PlansManager(content)
    broken = Preparation(plans, plans.get_configuration("3d_fullres"), tiny_dataset_json())
    ((_, outcome, _),) = prepare_cases(cases_of(tmp_path), broken, ALL, 0)
    assert isinstance(outcome, Failure) and outcome.step == "preprocessing"
    assert "NoSuchNormalization" in outcome.reason


def test_unknown_landmarks_are_told_before_the_first_case(tmp_path):
    write_case(tmp_path, "a")
    with pytest.raises(SettingsError, match="histogram landmarks are unknown"):
        next(prepare_cases(cases_of(tmp_path), preparation(histogram_standardisation=True), ALL, 0))
