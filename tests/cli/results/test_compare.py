"""``nnunet_hetero compare`` and ``nnunet_hetero report`` as a user calls them."""

from __future__ import annotations

import re

import pytest
from helpers.results.invented_evaluation import random_scores, write_evaluation

from nnunet_hetero.cli.main import main


@pytest.fixture
def models(tmp_path):
    ours = write_evaluation(tmp_path / "A" / "fold_0" / "evaluation", random_scores(1, 0.05), cases=12)
    other = write_evaluation(
        tmp_path / "B" / "fold_0" / "evaluation", random_scores(2), cases=12, trainer="UHeMISTrainer"
    )
    return ours.parent.parent, other.parent.parent


class TestCompare:
    def test_prints_and_writes_everything(self, models, tmp_path, capsys):
        out = tmp_path / "out"
        assert main(["compare", *map(str, models), "-o", str(out), "--paper", "--format", "png"]) == 0
        printed = capsys.readouterr().out
        assert "HeteroModalVAE |" in printed and "†" in printed and "U-HVED (paper)" in printed
        assert "BraTS 2018 | DeMoSeg" in printed and "yours | UHeMIS" in printed
        assert printed.startswith((out / "table.md").read_text(encoding="utf-8"))
        names = {str(file.relative_to(out)) for file in out.rglob("*") if file.is_file()}
        assert names == {
            "table.md",
            "table.csv",
            "table.tex",
            "statistics.csv",
            "report.html",
            "figures/difference_1.png",
            "figures/methods.png",
        }
        page = (out / "report.html").read_text(encoding="utf-8")
        assert page.count("data:image/png;base64,") == 2
        assert "Dice: HeteroModalVAE, UHeMIS" in page and "UHeMIS against HeteroModalVAE" in page
        assert not re.search(r"https?://|@import|<script|<link", page)

    def test_names_and_metric(self, models, tmp_path, capsys):
        arguments = ["compare", *map(str, models), "-o", str(tmp_path / "out"), "--names", "x", "y", "--metric", "hd95"]
        assert main(arguments) == 0
        printed = capsys.readouterr().out
        assert "HD95 in mm" in printed and "significantly better than x" in printed

    def test_one_evaluation_under_two_names(self, models, tmp_path, capsys):
        runs = [str(models[0]), str(models[0] / "fold_0" / "evaluation")]
        assert main(["compare", *runs, "-o", str(tmp_path / "out"), "--names", "x", "y"]) == 1
        assert "'x' and 'y' are one evaluation" in capsys.readouterr().err and not (tmp_path / "out").exists()

    def test_networks_of_single_subsets_joined(self, models, tmp_path, capsys):
        folders = [
            str(write_evaluation(tmp_path / f"S{channel}", random_scores(3), cases=12, subsets=[(channel,)]))
            for channel in range(4)
        ]
        assert main(["compare", str(models[0]), "--join", "Single", *folders, "-o", str(tmp_path / "out")]) == 0
        printed = capsys.readouterr().out
        assert "Single |" in printed and "Left out, as Single has no results there: T1+T1c" in printed

    def test_joined_methods_alone(self, models, tmp_path, capsys):
        ours, other = map(str, models)
        arguments = ["--join", "ours", ours, "--join", "other", other, "-o", str(tmp_path / "out")]
        assert main(["compare", *arguments]) == 0
        assert "significantly better than ours" in capsys.readouterr().out
        assert main(["compare", "--join", "ours", ours, "-o", str(tmp_path / "one")]) == 1
        assert "A comparison needs at least two runs" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("more", "message"),
        [
            (["--names", "one"], r"error: --names: 1 name\(s\) for 2 run\(s\)"),
            (["--join", "Single"], "error: --join: 'Single' has no run"),
            (["--metric", "nsd"], "error: The evaluation in .* has no nsd; it has: dice, hd95"),
            (["--metric", "hd95", "--paper"], "error: --paper: the paper's table holds the Dice, not hd95"),
        ],
    )
    def test_wrong_flags(self, models, tmp_path, capsys, more, message):
        assert main(["compare", *map(str, models), "-o", str(tmp_path / "out"), *more]) == 1
        assert re.search(message, capsys.readouterr().err)
        assert not (tmp_path / "out").exists()

    def test_other_cases(self, models, tmp_path, capsys):
        short = write_evaluation(tmp_path / "C", random_scores(3), cases=11, trainer="HeMISTrainer")
        assert main(["compare", str(models[0]), str(short), "-o", str(tmp_path / "out")]) == 1
        assert "cases only in HeteroModalVAE: case_11" in capsys.readouterr().err


class TestReport:
    def test_page_and_plots(self, models, capsys):
        assert main(["report", str(models[0]), "--format", "png"]) == 0
        folder = models[0] / "fold_0" / "evaluation"
        assert f"written: {folder / 'report.html'}" in capsys.readouterr().out
        assert (folder / "figures" / "heat_map.png").is_file()

    def test_no_evaluation(self, tmp_path, capsys):
        assert main(["report", str(tmp_path)]) == 1
        assert "holds no evaluation" in capsys.readouterr().err
