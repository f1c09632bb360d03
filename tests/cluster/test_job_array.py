"""How commands are divided into the jobs of an array."""

from __future__ import annotations

import pytest

from nnunet_hetero.cluster.job_array import tasks_of
from nnunet_hetero.errors import SettingsError


def test_trainings_are_folds_times_plans():
    found = tasks_of("train", ["501", "3d_fullres", "0", "1", "-tr", "SubsetTrainer", "-p", "A", "B", "--npz"], None)
    assert found == [
        ["train", "501", "3d_fullres", fold, "-p", plans, "-tr", "SubsetTrainer", "--npz", "--auto-continue"]
        for plans in ("A", "B")
        for fold in ("0", "1")
    ]
    assert tasks_of("train", ["501", "2d", "all", "--c"], None) == [["train", "501", "2d", "all", "--c"]]


def test_what_is_named_twice_is_done_once():
    plans = ["-p", "A", "A"]
    assert tasks_of("train", ["501", "2d", "0", "00", "0", *plans], None) == tasks_of(
        "train", ["501", "2d", "0", "-p", "A"], None
    )
    assert len(tasks_of("evaluate", ["-d", "501", "-c", "2d", "-f", "0", "0"], None)) == 1


def test_predictions_are_parts_that_go_on():
    found = tasks_of("predict", ["-i", "IN", "-o", "OUT", "-d", "501", "-c", "2d"], 2)
    common = ["predict", "-i", "IN", "-o", "OUT", "-d", "501", "-c", "2d", "--continue_prediction", "-num_parts", "2"]
    assert found == [[*common, "-part_id", "0"], [*common, "-part_id", "1"]]


@pytest.mark.parametrize(
    ("command", "argv", "parts", "said"),
    [
        ("view", [], None, "an array is made of train, predict, evaluate"),
        ("predict", ["-i", "IN"], None, "--parts"),
        ("train", ["501", "2d", "0"], 3, "--parts"),
        ("predict", ["-i", "IN", "-part_id", "1"], 3, "are set for each job"),
        ("predict", ["-i", "IN", "-npp", "0", "-nps", "0"], 3, "nnU-Net does all parts in each job"),
        ("train", ["501", "2d"], None, "give dataset, configuration and fold"),
        ("train", ["501", "2d", "zero"], None, "'zero' is no fold"),
        ("train", ["501", "2d", "0", "--no_such_flag"], None, "does not know"),
        ("train", ["501", "2d", "0", "--max_time", "1:2:3:4"], None, "The longest time is '1:2:3:4'"),
        ("evaluate", ["-d", "501", "-c", "2d"], None, "give the folds"),
        ("evaluate", ["-d", "501", "-c", "2d", "-f", "0", "-o", "OUT"], None, "concern all folds together"),
    ],
)
def test_what_cannot_be_divided(command, argv, parts, said):
    with pytest.raises(SettingsError) as caught:
        tasks_of(command, argv, parts)
    assert said in str(caught.value)
