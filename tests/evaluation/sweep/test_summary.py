"""``summary.json``: what is written is read back, and so are files of earlier versions."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from helpers.results.two_modalities import small_summary

from nnunet_hetero.errors import DataError
from nnunet_hetero.evaluation.sweep.summary import Summary, as_number, read_summary, shown_scores


def whole_summary() -> Summary:
    return replace(
        small_summary(),
        conventions={"dice": "0 to 1."},
        postprocessing="Removed.",
        labels={"whole": [1, 2], "core": [2]},
        subsets_without_results=("T2",),
        skipped={"b": ["T1"]},
        failed={"c": "Its label map is not there."},
        completion=[{"subset": "T1", "psnr": None}],
        folds=("0", "1"),
        case_folds={"a": ["0"]},
        settings={"seed": 0},
    )


@pytest.fixture
def written(tmp_path):
    def write(content) -> Summary:
        text = content if isinstance(content, str) else json.dumps(content)
        (tmp_path / "summary.json").write_text(text, encoding="utf-8")
        return read_summary(tmp_path)

    return write


class TestReading:
    def test_what_was_written(self, written):
        assert written(whole_summary().to_json()) == whole_summary()

    def test_of_a_version_that_did_not_say_how_scores_are_shown(self, written):
        content = whole_summary().to_json()
        del content["scores"]
        assert written(content) == whole_summary()

    def test_of_a_version_with_the_dice_alone(self, written):
        content = small_summary().to_json()
        for entry in (content["mean"], *content["subsets"], *content["sizes"]):
            del entry["metrics"]
        for name in ("scores", "conventions", "labels", "folds", "case_folds", "settings", "skipped", "failed"):
            del content[name]
        found = written(content)
        assert (found.subsets, found.sizes, found.overall) == (
            small_summary().subsets,
            small_summary().sizes,
            small_summary().overall,
        )
        assert found.folds is None and found.labels is None
        assert list(found.conventions) == list(found.scores) == ["dice"]

    def test_a_column_that_nobody_can_show_is_left_out(self, written):
        content = small_summary().to_json()
        content["mean"]["metrics"]["unknown"] = content["mean"]["metrics"]["dice"]
        assert shown_scores(written(content)) == ["dice"]

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("{", r"summary\.json is not valid JSON"),
            ("[]", r"summary\.json does not fit: it is a list, not an object"),
            ({}, r"summary\.json does not fit: 'modalities' is missing.*Evaluate again"),
            ({"mean": []}, r"summary\.json does not fit.*Expected: the summary of a finished evaluation"),
        ],
    )
    def test_damaged(self, written, content, message):
        with pytest.raises(DataError, match=message):
            written(content)

    def test_not_there(self, tmp_path):
        with pytest.raises(
            DataError, match=r"summary\.json is not there\. Expected: the summary of a finished evaluation"
        ):
            read_summary(tmp_path)


def test_numbers_to_calculate_with():
    assert as_number(0.0) == 0.0
    assert as_number(None) != as_number(None)  # NaN
