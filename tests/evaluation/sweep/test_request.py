"""What is asked of an evaluation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.evaluation.scores.metric_options import MetricOptions
from nnunet_hetero.evaluation.sweep.request import EvaluationRequest
from nnunet_hetero.inference.engine.case_result import SamplingOptions

MODEL = Path("MODEL")
FOLDER = {"images": "IN", "labels": "LABELS", "output": "OUT"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"split": "train"}, "--split is 'train'; choose from val, test"),
        ({"images": "IN", "output": "OUT"}, "-i and -l belong together"),
        ({"labels": "LABELS"}, "-i and -l belong together"),
        ({"images": "IN", "labels": "LABELS"}, "say with -o where the results go"),
        ({**FOLDER, "split": "test"}, "--split test and -i exclude each other"),
    ],
)
def test_contradictions(arguments, message):
    with pytest.raises(SettingsError, match=message):
        EvaluationRequest(MODEL, **arguments)


def test_folds_segment_together_or_each_its_own_cases():
    assert EvaluationRequest(MODEL).groups([0, 1]) == [[0], [1]]
    assert EvaluationRequest(MODEL, split="test").groups([0, 1]) == [[0, 1]]
    assert EvaluationRequest(MODEL, **FOLDER).groups([0, "all"]) == [[0, "all"]]
    assert EvaluationRequest(MODEL).groups(["all"]) == [["all"]]
    with pytest.raises(SettingsError, match="Fold 'all' has no validation cases of its own"):
        EvaluationRequest(MODEL).groups([0, "all"])


@pytest.mark.parametrize(
    ("arguments", "folds", "folder"),
    [
        ({}, [0], "MODEL/fold_0/evaluation"),
        ({}, [0, 2], "MODEL/evaluation_0_2"),
        ({"split": "test"}, ["all"], "MODEL/fold_all/evaluation_test"),
        ({"split": "test"}, [0, 2], "MODEL/evaluation_0_2_test"),
        (FOLDER, [0], "OUT"),
    ],
)
def test_where_results_go(arguments, folds, folder):
    assert EvaluationRequest(MODEL, **arguments).output_folder(folds) == Path(folder)


class TestSettings:
    """Results are kept while these are the same."""

    @pytest.fixture
    def request_(self, tmp_path):
        (tmp_path / "fold_0").mkdir()
        (tmp_path / "fold_0" / "checkpoint_final.pth").touch()
        return EvaluationRequest(tmp_path, sampling=SamplingOptions(4))

    @pytest.mark.parametrize(
        "change",
        [
            {"mirroring": False},
            {"step_size": 0.25},
            {"sampling": SamplingOptions(4, seed=1)},
            {"metrics": MetricOptions(("dice",))},
            {"metrics": MetricOptions(tolerance=2)},
            {"metrics": MetricOptions(lesion_rule="meningioma")},
            {"remove_small": ("core", 5)},
            {"completion": True},
            {"split": "test"},
            FOLDER,
        ],
    )
    def test_what_touches_the_numbers_is_in_them(self, request_, change):
        assert replace(request_, **change).settings([0], 4) != request_.settings([0], 4)

    @pytest.mark.parametrize("change", [{"progress": False}, {"subsets": ["T1"]}, {"device": "cpu"}])
    def test_what_does_not_touch_them_is_not(self, request_, change):
        assert replace(request_, **change).settings([0], 4) == request_.settings([0], 4)

    def test_draws_that_are_made_and_not_those_asked_for(self, request_):
        assert request_.settings([0], 0)["num_samples"] == 0
