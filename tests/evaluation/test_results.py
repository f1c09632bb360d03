"""``dice.csv`` and its continuation."""

from __future__ import annotations

import math

from nnunet_hetero.evaluation.results import ResultFile


def rows(case, subset="T1", dice=0.5):
    return [
        {"case": case, "subset": subset, "n_modalities": 1, "region": region, "dice": dice}
        for region in ("whole", "core")
    ]


class TestResultFile:
    def test_continues_with_the_same_settings(self, tmp_path, capsys):
        ResultFile(tmp_path, {"fold": 0}, ["whole", "core"]).add(rows("a", dice=math.nan))
        again = ResultFile(tmp_path, {"fold": 0}, ["whole", "core"])
        assert ("a", "T1") in again
        assert ("a", "T2") not in again
        assert [math.isnan(row["dice"]) for row in again.rows_of("a", "T1")] == [True, True]
        assert capsys.readouterr().out == ""

    def test_starts_anew_with_other_settings(self, tmp_path, capsys):
        ResultFile(tmp_path, {"fold": 0}, ["whole", "core"]).add(rows("a"))
        assert ("a", "T1") not in ResultFile(tmp_path, {"fold": 1}, ["whole", "core"])
        assert "are replaced" in capsys.readouterr().out
        assert (tmp_path / "dice.csv").read_text().splitlines() == ["case,subset,n_modalities,region,dice"]

    def test_half_written_pair_is_dropped(self, tmp_path):
        results = ResultFile(tmp_path, {}, ["whole", "core"])
        for case in "ab":
            results.add(rows(case))
        for cut in (4, 15):  # within a number, within a row
            text = results.file.read_text()
            results.file.write_text(text[: len(text) - cut])
            again = ResultFile(tmp_path, {}, ["whole", "core"])
            assert ("a", "T1") in again
            assert ("b", "T1") not in again
            again.add(rows("b"))
