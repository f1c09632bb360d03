"""A job for each case, whose entries are written by the command."""

from __future__ import annotations

import json
import os

from helpers.cluster.cluster_jobs import entry_of

from nnunet_hetero.cases.find import Case
from nnunet_hetero.cluster.case_jobs import do_cases, with_absolute_files


def test_entries_are_written_and_failures_gathered(client, tmp_path):
    jobs = {str(tmp_path / name): (str(tmp_path), name) for name in ("good", "bad", "deadly", "raising")}
    forgotten: list[str] = []
    failed = do_cases(client, "entries", entry_of, jobs, "predicting", forgotten.append)
    assert failed.keys() == {str(tmp_path / name) for name in ("bad", "deadly", "raising")}
    assert sorted(forgotten) == sorted(str(tmp_path / name) for name in ("deadly", "raising"))
    listed = json.loads((tmp_path / "failed.json").read_text())
    assert {name: found["step"] for name, found in listed.items()} == {
        "bad": "reading",
        "deadly": "predicting",
        "raising": "predicting",
    }
    assert "3 workers died over it" in listed["deadly"]["reason"]
    assert list(json.loads((tmp_path / "modalities.json").read_text())) == ["good"]


def test_files_are_those_of_any_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert with_absolute_files(Case("a", ("in/a.nii", None))).files == (os.path.join(tmp_path, "in/a.nii"), None)
