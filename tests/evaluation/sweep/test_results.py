"""``metrics.csv`` and ``completion.csv``, and their continuation."""

from __future__ import annotations

import math
import os

import pytest

from nnunet_hetero.evaluation.sweep.results import ResultFiles, mean, means_over_cases
from nnunet_hetero.io.provenance import Provenance

PAIR = ("a", "T1")


def rows(case, subset="T1", dice=0.5):
    return [
        {"case": case, "subset": subset, "n_modalities": 1, "region": region, "dice": dice, "hd95": 12.25}
        for region in ("whole", "core")
    ]


def completed(case, subset="T1", psnr=30.5):
    return [
        {
            "case": case,
            "subset": subset,
            "n_modalities": 1,
            "modality": "T2",
            "tissue": tissue,
            "psnr": psnr,
            "ssim": 0.5,
        }
        for tissue in ("brain", "tumour")
    ]


def files(folder, settings=None, completion=False, columns=("dice", "hd95"), sources=None) -> ResultFiles:
    return ResultFiles(folder, settings or {"fold": 0}, ["whole", "core"], columns, completion, sources)


class TestMetrics:
    def test_continues_with_the_same_settings(self, tmp_path, capsys):
        files(tmp_path).add(rows("a", dice=math.nan))
        again = files(tmp_path)
        assert PAIR in again
        assert ("a", "T2") not in again
        assert [(math.isnan(row["dice"]), row["hd95"]) for row in again.metrics_of(PAIR)] == [(True, 12.25)] * 2
        assert capsys.readouterr().out == ""

    def test_no_value_is_an_empty_cell(self, tmp_path):
        files(tmp_path).add(rows("a", dice=math.nan))
        text = (tmp_path / "metrics.csv").read_text()
        assert text.splitlines() == [
            "case,subset,n_modalities,region,dice,hd95",
            "a,T1,1,whole,,12.25",
            "a,T1,1,core,,12.25",
        ]

    @pytest.mark.parametrize("change", [{"settings": {"fold": 1}}, {"columns": ("dice",)}])
    def test_starts_anew_with_other_settings_or_columns(self, tmp_path, capsys, change):
        files(tmp_path).add(rows("a"))
        again = files(tmp_path, **change)
        assert PAIR not in again
        assert ("are replaced" in capsys.readouterr().out) == ("settings" in change)
        columns = ",".join(change.get("columns", ("dice", "hd95")))
        assert (tmp_path / "metrics.csv").read_text() == f"case,subset,n_modalities,region,{columns}\n"

    @pytest.mark.parametrize("cut", [1, 3, 20, 40])
    def test_half_written_pair_is_dropped(self, tmp_path, cut):
        """The line's end is not there; the cut goes through a number; through the row; through the one before."""
        results = files(tmp_path)
        for case in "ab":
            results.add(rows(case))
        file = tmp_path / "metrics.csv"
        file.write_text(file.read_text()[:-cut])
        again = files(tmp_path)
        assert PAIR in again
        assert ("b", "T1") not in again
        again.add(rows("b"))
        assert ("b", "T1") in files(tmp_path)

    def test_a_summary_of_an_earlier_run_goes_away(self, tmp_path):
        for name in ("summary.json", "table.md"):
            (tmp_path / name).write_text("old")
        files(tmp_path)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["metrics.csv", "settings.json"]


class TestCompletion:
    def test_both_files_continue(self, tmp_path):
        files(tmp_path, completion=True).add(rows("a"), completed("a", psnr=math.nan))
        again = files(tmp_path, completion=True)
        (first, second) = again.completion_of(PAIR)
        assert math.isnan(first["psnr"]) and (first["tissue"], second["tissue"]) == ("brain", "tumour")
        assert (first["n_modalities"], first["modality"], first["ssim"]) == (1, "T2", 0.5)

    def test_rows_of_a_pair_that_is_not_done_are_dropped(self, tmp_path):
        """A run was killed between the two files."""
        results = files(tmp_path, completion=True)
        results.add(rows("a"), completed("a"))
        results.add(rows("b"), completed("b"))
        file = tmp_path / "metrics.csv"
        file.write_text("".join(file.read_text().splitlines(keepends=True)[:-1]))
        again = files(tmp_path, completion=True)
        assert again.completion_of(PAIR) == completed("a")
        assert again.completion_of(("b", "T1")) == []
        assert "b," not in (tmp_path / "completion.csv").read_text()

    def test_a_subset_of_all_modalities_completes_nothing(self, tmp_path):
        files(tmp_path, completion=True).add(rows("a"))
        assert files(tmp_path, completion=True).completion_of(PAIR) == []

    def test_no_file_without_completion(self, tmp_path):
        files(tmp_path, completion=True)
        files(tmp_path, {"fold": 1})
        assert not (tmp_path / "completion.csv").exists()


class TestMeans:
    def test_over_cases(self):
        found = means_over_cases([*completed("a", psnr=30), *completed("b", psnr=20)], ["tissue"], ["psnr"])
        assert found == [{"tissue": "brain", "psnr": 25}, {"tissue": "tumour", "psnr": 25}]

    def test_only_finite_numbers_count(self):
        assert mean([1, math.nan, 3, math.inf]) == 2
        assert math.isnan(mean([math.nan])) and math.isnan(mean([]))


def made_from(folder, **contents) -> dict[str, Provenance]:
    """Sources of the cases: one image each, with this content."""
    for case, content in contents.items():
        (folder / f"{case}.nii").write_text(content)
    return {case: Provenance.of({"T1": folder / f"{case}.nii"}, {}) for case in contents}


class TestWhatItIsMadeFrom:
    def test_a_case_whose_file_changed_is_done_again(self, tmp_path, capsys):
        out = tmp_path / "out"
        results = files(out, sources=made_from(tmp_path, a="one", b="one"))
        for case in "ab":
            results.add(rows(case))
        (out / "predictions" / "T1").mkdir(parents=True)
        for case in ("a", "b", "a_1"):
            (out / "predictions" / "T1" / f"{case}.nii.gz").touch()
        again = files(out, sources=made_from(tmp_path, a="changed", b="one"))
        assert PAIR not in again and ("b", "T1") not in again  # both files were written anew
        again = files(out, sources=made_from(tmp_path, a="changed"))
        assert "Case 'a' is evaluated again: T1 has changed" in capsys.readouterr().out
        assert sorted(file.name for file in out.glob("predictions/T1/*")) == ["a_1.nii.gz"]

    def test_others_stay(self, tmp_path):
        sources = made_from(tmp_path, a="one", b="one")
        results = files(tmp_path / "out", sources=sources)
        for case in "ab":
            results.add(rows(case))
        assert PAIR in files(tmp_path / "out", sources={"a": sources["a"]})
        again = files(tmp_path / "out", sources={**sources, **made_from(tmp_path, a="changed")})
        assert PAIR not in again and ("b", "T1") in again

    def test_results_of_an_earlier_version_are_replaced(self, tmp_path, capsys):
        files(tmp_path / "out").add(rows("a"))
        assert PAIR not in files(tmp_path / "out", sources=made_from(tmp_path, a="one"))
        assert "Nothing says which files" in capsys.readouterr().out


class TestLeftovers:
    @pytest.mark.parametrize("content", ["", '{"fold"', "[]", "\0\xff"])
    def test_damaged_settings(self, content, tmp_path, capsys):
        files(tmp_path).add(rows("a"))
        (tmp_path / "settings.json").write_text(content)
        assert PAIR not in files(tmp_path)
        assert "settings.json is damaged" in capsys.readouterr().out
        assert PAIR not in files(tmp_path) and capsys.readouterr().out == ""

    def test_rows_without_settings_are_no_ones(self, tmp_path):
        files(tmp_path).add(rows("a"))
        (tmp_path / "settings.json").unlink()
        assert PAIR not in files(tmp_path)

    @pytest.mark.parametrize("cut", [1, 10, 40, 60, 200])
    def test_completion_that_was_cut_off_is_done_again(self, tmp_path, cut):
        results = files(tmp_path, completion=True)
        for case in "ab":
            results.add(rows(case), completed(case))
            results.add(rows(case, "T2"), [{**row, "modality": "T1"} for row in completed(case, "T2")])
            results.add(rows(case, "T1+T2"))
        file = tmp_path / "completion.csv"
        file.write_text(file.read_text()[:-cut])
        again = files(tmp_path, completion=True)
        assert ("b", "T2") not in again and ("a", "T1+T2") in again
        assert (("a", "T1") in again) == (cut < 100)
        for pair in [(case, subset) for case in "ab" for subset in ("T1", "T2", "T1+T2")]:
            if pair in again and pair[1] != "T1+T2":
                assert [row["tissue"] for row in again.completion_of(pair)] == ["brain", "tumour"]

    def test_a_row_that_the_disk_did_not_take_is_not_half_there(self, tmp_path, monkeypatch):
        results = files(tmp_path)
        results.add(rows("a"))
        before = (tmp_path / "metrics.csv").read_bytes()

        def full(_descriptor):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            results.add(rows("b"))
        assert (tmp_path / "metrics.csv").read_bytes() == before and ("b", "T1") not in results

    def test_nothing_of_other_settings_outlives_a_failure(self, tmp_path):
        files(tmp_path, completion=True).add(rows("a"), completed("a"))
        for name in ("predictions/T1/a.nii.gz", "snapshots/a.npz", "report.html", "summary.json", "table.md"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        files(tmp_path, {"fold": 1})
        assert sorted(path.name for path in tmp_path.iterdir()) == ["metrics.csv", "settings.json"]
