"""The table of a comparison in its three formats, and the published columns beside it."""

from __future__ import annotations

import csv
import io
import re
import shutil
import subprocess

import pytest
from helpers.invented_evaluation import BRATS, REGIONS, random_scores, write_evaluation

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.evaluation.compare.comparison import compare_runs
from nnunet_hetero.evaluation.compare.published import averages, table_1
from nnunet_hetero.evaluation.compare.table import STATISTICS, latex, lay_out, markdown, statistics_csv, table_csv
from nnunet_hetero.evaluation.sweep.run import read_run
from nnunet_hetero.modalities import Modalities


def steady(level):
    """The same level in all, but for a little by case, so that every difference has the same sign."""
    return lambda case, subset, region: level + case / 1000 + len(subset) / 100


@pytest.fixture
def compared(tmp_path):
    scores = {"ours_1": steady(0.6), "better": steady(0.7), "worse": steady(0.5)}
    runs = [
        read_run(write_evaluation(tmp_path / name, score, ("T1", "CT"), ("core", "rim_&_all"), cases=11), name)
        for name, score in scores.items()
    ]
    return compare_runs(runs)


class TestMarkdown:
    def test_layout(self, compared):
        lines = markdown(lay_out(compared)).splitlines()
        assert len({len(line) for line in lines}) == 1
        cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
        assert cells[0] == ["T1", "CT", "core", "", "", "rim_&_all", "", ""]
        assert cells[2] == ["", "", *["ours_1", "better", "worse"] * 2]
        assert cells[3] == ["●", "○", *["61.5 ± 0.3", "71.5 ± 0.3*", "51.5 ± 0.3†"] * 2]
        assert [line[:2] for line in cells[4:6]] == [["○", "●"], ["●", "●"]]
        assert [line[0] for line in cells[6:]] == ["mean, 1 modality", "mean of all"]

    def test_lower_is_better_turns_the_marks(self, compared):
        table = lay_out(compare_runs(compared.runs, "hd95"))
        assert [cell.mark for cell in table.rows[0].cells[0]] == ["", "*", "†"]
        assert [cell.best for cell in table.rows[0].cells[0]] == [False, True, False]


class TestCsv:
    def test_table(self, compared):
        header, *rows = csv.reader(io.StringIO(table_csv(lay_out(compared))))
        assert header[:6] == ["row", "T1", "CT", "core, ours_1, mean", "core, ours_1, sd", "core, ours_1, mark"]
        assert rows[0][:9] == ["T1", "1", "0", "61.5", "0.3", "", "71.5", "0.3", "*"]
        assert rows[-1][:3] == ["mean of all", "", ""]
        assert {len(row) for row in rows} == {len(header)} == {3 + 2 * 3 * 3}

    def test_statistics(self, compared):
        rows = list(csv.DictReader(io.StringIO(statistics_csv(compared))))
        assert tuple(rows[0]) == STATISTICS
        assert len(rows) == 5 * 2 * 3
        reference, better = rows[0], rows[1]
        assert float(reference["mean"]) == pytest.approx(0.615) and reference["p"] == ""
        assert float(better["difference"]) == pytest.approx(0.1)
        assert (better["pairs"], float(better["rank_biserial"])) == ("11", 1)
        assert float(better["p"]) == pytest.approx(2 / 2**11)
        # The smallest p of all 12 tests of subsets, all the same.
        assert float(better["p_holm"]) == pytest.approx(12 * float(better["p"]))


class TestLatex:
    def test_is_balanced_and_escaped(self, compared):
        text = latex(lay_out(compared), "Dice in %, p < 0.05 (subsets × regions) ± † _ #")
        body = re.sub(r"\\[\\{}%&#_]", "", text)
        body = re.sub(r"(?m)%.*$", "", body)
        depth = 0
        for sign in body:
            depth += (sign == "{") - (sign == "}")
            assert depth >= 0
        assert depth == 0 and body.count("$") % 2 == 0
        environments = re.findall(r"\\(begin|end)\{(\w+\*?)\}", text)
        assert environments == [("begin", "table*"), ("begin", "tabular"), ("end", "tabular"), ("end", "table*")]
        assert text.isascii()
        assert r"rim\_\&\_all" in text and r"Dice in \%, p $<$ 0.05" in text

    def test_every_row_has_all_columns(self, compared):
        text = latex(lay_out(compared), "x")
        (spec,) = re.findall(r"\\begin\{tabular\}\{(\w+)\}", text)
        assert spec == "cc" + "r" * 6
        for row in re.findall(r"(?m)^(.*) \\\\$", text):
            spans = [int(span) for span in re.findall(r"\\multicolumn\{(\d+)\}", row)]
            assert len(re.findall(r"(?<!\\)&", row)) + 1 + sum(spans) - len(spans) == len(spec)

    def test_best_and_marks(self, compared):
        text = latex(lay_out(compared), "x")
        assert r"61.5 $\pm$ 0.3 & \textbf{71.5} $\pm$ 0.3$^{*}$ & 51.5 $\pm$ 0.3$^{\dagger}$" in text
        assert r"$\bullet$ & $\circ$ &" in text

    @pytest.mark.skipif(shutil.which("pdflatex") is None, reason="there is no LaTeX here")
    def test_compiles(self, compared, tmp_path):
        table = latex(lay_out(compared), "Dice in %, ● and ○, p < 0.05 ~ ^ \\")
        head = "\\documentclass{article}\\usepackage{booktabs,graphicx}\\begin{document}\n"
        (tmp_path / "t.tex").write_text(head + table + "\\end{document}\n", encoding="utf-8")
        done = subprocess.run(
            ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            errors="replace",
        )
        assert done.returncode == 0, done.stdout[-2000:]


class TestPaper:
    def test_columns_as_published(self):
        columns = {column.name: column for column in table_1(Modalities(BRATS), list(REGIONS))}
        assert list(columns) == ["HeMIS", "U-HeMIS", "U-HVED", "Single"]
        ours = columns["U-HVED"]
        assert len(ours.dice) == 45
        assert ours.dice[(0,), "whole_tumor"] == 52.4 and ours.dice[(1, 2), "enhancing_tumor"] == 70.2
        every = list({subset for subset, _ in ours.dice})
        assert [round(ours.mean(every, region), 1) for region in REGIONS] == [80.1, 64.0, 50.1]

    def test_found_by_name_in_any_order(self):
        columns = table_1(Modalities(("flair", "t1ce", "T1w", "T2")), ["ET", "Tumor Core", "whole tumour"])
        assert columns[2].dice[(2,), "whole tumour"] == 52.4
        assert columns[2].dice[(1, 3), "ET"] == 70.2

    def test_fewer_modalities(self):
        columns = table_1(Modalities(("T2", "T1c")), ["whole_tumor"])
        assert columns[3].dice == {
            ((0,), "whole_tumor"): 82.6,
            ((1,), "whole_tumor"): 70.4,
            ((0, 1), "whole_tumor"): 83.2,
        }

    @pytest.mark.parametrize(
        ("modalities", "regions", "message"),
        [
            (("T1", "CT"), ["whole_tumor"], "modality 'CT' of your data is none of the paper's: T1, T1c, T2, FLAIR"),
            (("T1",), ["necrotic_core"], "region 'necrotic_core' of your data is none of the paper's: WT, TC, ET"),
            (("T1", "T1n"), ["WT"], "mean the same in the paper's table"),
            (("T1",), ["WT", "whole tumor"], "mean the same in the paper's table"),
        ],
    )
    def test_what_does_not_fit(self, modalities, regions, message):
        with pytest.raises(SettingsError, match=message):
            table_1(Modalities(modalities), regions)

    def test_beside_the_users(self, tmp_path):
        runs = [read_run(write_evaluation(tmp_path / name, random_scores(1)), name) for name in ("a", "b")]
        compared = compare_runs(runs)
        table = lay_out(compared, table_1(compared.modalities, compared.regions))
        assert table.methods[2:] == ("HeMIS (paper)", "U-HeMIS (paper)", "U-HVED (paper)", "Single (paper)")
        assert [cell.text for cell in table.rows[0].cells[0][2:]] == ["0.0", "54.3", "52.4", "72.7"]
        assert [cell.text for cell in table.rows[-1].cells[0][2:]] == ["50.7", "78.6", "80.1", "81.6"]
        assert not any(cell.best or cell.mark for row in table.rows for cells in row.cells for cell in cells[2:])

    def test_averages_have_sources(self):
        rows = averages()
        assert all(row["source"] and row["mean"] for row in rows)
        assert {row["dataset"] for row in rows} == {"BraTS 2018", "BraTS 2020", "BraTS 2023"}
        for row in rows:
            if row["WT"]:
                mean = sum(float(row[region]) for region in ("WT", "TC", "ET")) / 3
                assert float(row["mean"]) == pytest.approx(mean, abs=0.051)
