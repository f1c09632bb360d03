"""What each modality brings."""

from __future__ import annotations

import re

import pytest
from helpers.results.invented_evaluation import additive, random_scores, write_additive, write_evaluation

from nnunet_hetero.evaluation.compare.gains import modality_gains
from nnunet_hetero.evaluation.sweep.run import read_run


@pytest.fixture
def folder(tmp_path):
    return write_additive(tmp_path)


class TestGains:
    def test_by_hand(self, folder):
        gains = modality_gains(read_run(folder))
        assert list(gains) == ["T1", "CT"] and list(gains["CT"]) == ["whole", "core"]
        # The only pair: T1 against T1+CT. Two of four cases, and two of three with a core, have 5 more.
        assert gains["CT"]["whole"] == pytest.approx([22.5])
        assert gains["CT"]["core"] == pytest.approx([20 + 5 * 2 / 3])
        assert gains["T1"]["whole"] == pytest.approx([1])

    def test_cases_without_the_modality_do_not_shift_it(self, folder):
        table = folder / "metrics.csv"
        lines = table.read_text().splitlines()
        kept = [line for line in lines if not re.match(r"case_0[13],(CT|T1\+CT),", line)]
        table.write_text("\n".join(kept) + "\n")
        assert modality_gains(read_run(folder))["CT"]["whole"] == pytest.approx([20])

    def test_a_pair_per_subset_that_lacks_it(self, tmp_path):
        gains = modality_gains(read_run(write_evaluation(tmp_path, random_scores(0))))
        assert {len(pairs) for of_region in gains.values() for pairs in of_region.values()} == {7}

    def test_one_modality_has_none(self, tmp_path):
        assert modality_gains(read_run(write_evaluation(tmp_path, additive, ("T1",), ("whole",)))) == {}
