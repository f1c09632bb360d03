"""The benchmark of long trainings, in a few steps; and what counts as drift."""

from __future__ import annotations

import json

import pytest
import soundness
from helpers.tiny_dataset import threads_for_processes


def test_a_short_training(tmp_path, monkeypatch, capsys):
    threads_for_processes(monkeypatch)
    monkeypatch.setattr(soundness, "EPOCHS", 2)
    for variable in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results", "nnUNet_n_proc_DA", "nnUNet_def_n_proc"):
        monkeypatch.setenv(variable, "")  # is put back after the test
    code = soundness.main(["--steps", "4", "--out", str(tmp_path), "--weight_decay", "0.5"])
    printed = capsys.readouterr().out
    rows = json.loads(printed.splitlines()[-1])
    assert [row["epoch"] for row in rows] == [1, 2]
    assert rows[0]["largest |log σ²|"] > 5 and rows[0]["weights without norm"] > 0
    assert code == int("MISSED" in printed)


def row(**changed: float) -> dict[str, float]:
    return {**dict.fromkeys(soundness.COLUMNS, 1.0), "beyond the clamp": 0.0, **changed}


@pytest.mark.parametrize(
    ("last", "said"),
    [
        (row(), None),
        (row(**{"beyond the clamp": 0.02}), "2.00% of the log-variances"),
        (row(**{"largest activation": 1e4}), "largest activation is 1e+04"),
        (row(**{"weights without norm": 1.6}), "grow by 1.60"),
        (row(KL=float("nan")), "KL is nan"),
    ],
)
def test_drift(last, said):
    found = soundness.drifted([row(), row(), last])
    assert (said is None and not found) or said in found[0]


def test_rows_are_tenths():
    history = {name: {epoch: float(epoch) for epoch in range(40)} for name, _ in soundness.COLUMNS.values()}
    rows = soundness.rows_of(history)
    assert [row["epoch"] for row in rows] == list(range(4, 41, 4))
    assert rows[1]["largest |log σ²|"] == rows[1]["weights without norm"] == 7 and rows[1]["KL"] == 5.5
