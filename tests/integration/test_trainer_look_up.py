"""nnU-Net's own look-up finds our trainers."""

from __future__ import annotations

import pickle
from importlib import import_module

import pytest
from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name

from nnunet_hetero.nnunet.environment import EXT_TRAINER, OUR_TRAINERS, trainer_folder


@pytest.mark.parametrize("name", OUR_TRAINERS)
def test_found_the_same_each_time_and_picklable(name, monkeypatch):
    monkeypatch.setenv(EXT_TRAINER, trainer_folder())
    found = recursive_find_trainer_class_by_name(name)
    assert recursive_find_trainer_class_by_name(name) is found
    assert pickle.loads(pickle.dumps(found)) is found
    assert found.__name__ == name and found.__module__.startswith("nnunet_hetero.training")


def test_the_folder_offers_exactly_the_trainers_that_are_listed(monkeypatch):
    monkeypatch.syspath_prepend(trainer_folder())
    assert set(import_module("nnunet_hetero_trainers").__all__) == set(OUR_TRAINERS)
