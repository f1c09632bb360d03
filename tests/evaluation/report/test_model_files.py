"""What a page takes from the model's own files."""

from __future__ import annotations

import json

import pytest

from nnunet_hetero.evaluation.report.model_files import MODEL_PLANS, configuration_of, read_or_leave_out


def test_a_configuration_has_what_it_inherits():
    plans = {"configurations": {"a": {"spacing": [1], "batch_size": 2}, "b": {"inherits_from": "a", "batch_size": 3}}}
    found = configuration_of(plans, "b")
    assert (found["spacing"], found["batch_size"]) == ([1], 3)
    assert configuration_of(plans, "c") == {}


def test_one_that_inherits_from_itself_ends():
    plans = {"configurations": {"a": {"inherits_from": "b", "x": 1}, "b": {"inherits_from": "a", "y": 2}}}
    found = configuration_of(plans, "a")
    assert (found["x"], found["y"]) == (1, 2)


@pytest.mark.parametrize("text", ["{", "[]", '{"configurations": 3}'])
def test_the_page_goes_without_what_is_damaged(tmp_path, capsys, text):
    (tmp_path / "plans.json").write_text(text)
    assert read_or_leave_out(MODEL_PLANS, tmp_path / "plans.json") == {}
    assert "The page goes without it." in capsys.readouterr().out
    (tmp_path / "plans.json").write_text(json.dumps({"plans_name": "mine"}))
    assert read_or_leave_out(MODEL_PLANS, tmp_path / "plans.json")["plans_name"] == "mine"
