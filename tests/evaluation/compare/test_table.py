"""The table of a comparison in its three formats, and the published columns beside it."""

from __future__ import annotations

import csv
import io
import re
import shutil
import subprocess

import pytest

from nnunet_hetero.evaluation.compare.comparison import compare_runs
from nnunet_hetero.evaluation.compare.table import STATISTICS, latex, lay_out, markdown, statistics_csv, table_csv


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
