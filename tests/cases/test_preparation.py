"""What prepares cases, as one thing that travels."""

from __future__ import annotations

import pickle

import pytest
from helpers.tiny_model import CONFIGURATION, tiny_dataset_json, tiny_plans
from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunet_hetero.cases.preparation import Preparation
from nnunet_hetero.errors import SettingsError


def preparation(landmarks=None, **settings) -> Preparation:
    plans = tiny_plans()
    plans["configurations"][CONFIGURATION]["hetero_modal"] = settings
    manager = PlansManager(plans)
    return Preparation(manager, manager.get_configuration(CONFIGURATION), tiny_dataset_json(), landmarks)


def test_what_follows_from_the_dataset():
    found = preparation()
    assert found.modalities.names == ("T1", "T1c", "T2", "FLAIR") and found.file_ending == ".nii.gz"
    assert isinstance(found.reader(), SimpleITKIO)
    assert found.label_manager.has_regions and found.label_manager.num_segmentation_heads == 3


def test_it_is_sent_to_other_processes():
    found = preparation({"T1": [0.0, 1.0]})
    assert found.label_manager is not None
    sent = pickle.loads(pickle.dumps(found))
    assert sent.modalities == found.modalities and sent.landmarks == found.landmarks


class TestLandmarks:
    def test_a_model_without_needs_none(self):
        assert preparation().required_landmarks() is None

    def test_a_model_with_landmarks_has_them(self):
        landmarks = {"T1": [0.0, 1.0]}
        assert preparation(landmarks, histogram_standardisation=True).required_landmarks() is landmarks

    def test_unknown_landmarks_are_an_error(self):
        with pytest.raises(SettingsError, match="not loaded from its folder, so its histogram landmarks are unknown"):
            preparation(histogram_standardisation=True).required_landmarks()
