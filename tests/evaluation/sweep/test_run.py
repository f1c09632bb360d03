"""Reading evaluations back."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from helpers.results.invented_evaluation import random_scores, write_evaluation

from nnunet_hetero.errors import DataError, SettingsError
from nnunet_hetero.evaluation.sweep.run import find_evaluation, join_runs, read_run


def by_place(case, subset, region):
    return None if (case, region) == (1, "tumor_core") else case / 10 + len(subset) / 100


@pytest.fixture
def folder(tmp_path):
    return write_evaluation(tmp_path / "fold_0" / "evaluation", by_place, cases=3)


class TestReading:
    def test_every_score_at_its_place(self, folder):
        run = read_run(folder)
        assert (run.name, run.model) == ("HeteroModalVAE", "HeteroModalVAETrainer__nnUNetPlans__3d_fullres")
        assert (run.cases, run.folds) == (("case_00", "case_01", "case_02"), ("0",))
        assert len(run.subsets) == 15 and run.subsets[-1] == (0, 1, 2, 3)
        assert run.scores["dice"].shape == (15, 3, 3)
        assert run.scores["dice"][4, 2, 0] == pytest.approx(0.22)
        assert np.isnan(run.scores["dice"][:, 1, 1]).all() and np.isnan(run.scores["dice"]).sum() == 15
        assert run.scores["hd95"][0, 2, 0] == pytest.approx(10 * (1 - 0.21))
        assert run.measured.all()

    def test_volume_errors_are_compared_without_their_sign(self, folder):
        text = (folder / "metrics.csv").read_text(encoding="utf-8").replace("hd95", "volume_error_ml")
        (folder / "metrics.csv").write_text(text.replace(",8.", ",-8."), encoding="utf-8")
        run = read_run(folder)
        assert (run.scores["volume_error_ml"] < 0).any()
        assert not (run.values("volume_error_ml") < 0).any()

    @pytest.mark.parametrize("place", ["fold_0/evaluation", "fold_0", "."])
    def test_found_in_the_fold_and_in_the_model(self, folder, tmp_path, place):
        assert find_evaluation(tmp_path / place) == folder

    def test_none_or_several(self, folder, tmp_path):
        with pytest.raises(SettingsError, match=r"holds no evaluation.*run it first"):
            read_run(tmp_path / "nothing")
        write_evaluation(tmp_path / "evaluation_0_1", by_place)
        with pytest.raises(SettingsError, match=r"more than one evaluation(.|\n)*evaluation_0_1(.|\n)*fold_0"):
            read_run(tmp_path)

    def test_interrupted(self, folder):
        (folder / "summary.json").unlink()
        with pytest.raises(
            DataError,
            match=r"summary\.json is not there\. Expected: the summary of a finished evaluation",
        ):
            read_run(folder)

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            (",dice", ",dyce", "no column 'dice'"),
            (
                "case_00,T1,1,whole_tumor,0.01",
                "case_00,T1,1,whole_tumor,abc",
                "'abc' in line 2, column 'dice', not a number",
            ),
            ("case_00,T1,1,whole_tumor", "case_00,T1,1,edema", "line 2: region 'edema' is none of whole_tumor"),
            ("case_00,T1,1,whole_tumor,0.01", "case_00,T1,1,whole_tumor,1.01", "line 2: dice is 1.01; expected is 0"),
            ("case_00,T1,1,whole", "case_01,T1,1,whole", "has no row of case 'case_00', T1, whole_tumor; expected is"),
            ("case_00,T1,1,tumor_core", "case_00,T1,1,whole_tumor", "has 2 rows of case 'case_00', T1, whole_tumor"),
        ],
    )
    def test_damaged_table(self, folder, old, new, message):
        text = (folder / "metrics.csv").read_text(encoding="utf-8")
        assert old in text
        (folder / "metrics.csv").write_text(text.replace(old, new, 1), encoding="utf-8")
        with pytest.raises(DataError, match=message):
            read_run(folder)

    def test_table_without_rows_and_broken_json(self, folder):
        header = (folder / "metrics.csv").read_text(encoding="utf-8").splitlines()[0]
        (folder / "metrics.csv").write_text(header + "\n", encoding="utf-8")
        with pytest.raises(DataError, match="has no results"):
            read_run(folder)
        (folder / "settings.json").write_text("{", encoding="utf-8")
        with pytest.raises(DataError, match=r"settings\.json is not valid JSON"):
            read_run(folder)


class TestJoining:
    @pytest.fixture
    def singles(self, tmp_path):
        return [
            read_run(write_evaluation(tmp_path / str(channel), random_scores(channel), subsets=[subset]))
            for channel, subset in enumerate([(1,), (0,), (0, 1)])
        ]

    def test_one_run_with_the_subsets_of_all(self, singles):
        joined = join_runs("Single", singles)
        assert (joined.name, joined.subsets) == ("Single", ((0,), (1,), (0, 1)))
        for place, number in enumerate([1, 0, 2]):
            np.testing.assert_array_equal(joined.scores["dice"][place], singles[number].scores["dice"][0])
        assert joined.measured.all()

    def test_cases_that_only_some_have(self, singles, tmp_path):
        more = read_run(write_evaluation(tmp_path / "more", random_scores(5), subsets=[(2,)], cases=8))
        joined = join_runs("Single", [*singles, more])
        assert len(joined.cases) == 8
        assert joined.measured.sum(axis=1).tolist() == [6, 6, 8, 6]
        assert math.isnan(joined.scores["dice"][0, 7, 0])

    def test_folds_with_cases_of_their_own(self, tmp_path):
        first, second = (
            read_run(write_evaluation(tmp_path / fold, random_scores(int(fold)), cases=3, folds=[fold]))
            for fold in ("0", "1")
        )
        second = replace(second, cases=("case_03", "case_04", "case_05"))
        joined = join_runs("ours", [first, second])
        assert (joined.name, joined.folds, len(joined.cases)) == ("ours", ("0", "1"), 6)
        assert joined.subsets == first.subsets and joined.measured.all()
        for part, run in ((slice(0, 3), first), (slice(3, 6), second)):
            np.testing.assert_array_equal(joined.scores["dice"][:, part], run.scores["dice"])
        with pytest.raises(DataError, match=r"hold results of the subset T1, of case 'case_00'"):
            join_runs("ours", [first, second, first])

    def test_same_subset_twice_or_other_regions(self, singles, tmp_path):
        with pytest.raises(DataError, match=r"both .* hold results of the subset T1c"):
            join_runs("Single", [*singles, singles[0]])
        other = read_run(write_evaluation(tmp_path / "x", random_scores(0), regions=["whole_tumor"], subsets=[(3,)]))
        with pytest.raises(DataError, match="'Single' cannot be joined: the regions of"):
            join_runs("Single", [*singles, other])


def test_folds_of_an_older_summary(folder):
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    del summary["folds"]
    (folder / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
    assert read_run(folder).folds == ("0",)
