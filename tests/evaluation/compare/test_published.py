"""Published results beside the own."""

from __future__ import annotations

import pytest
from helpers.results.invented_evaluation import BRATS, REGIONS, random_scores, write_evaluation

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.evaluation.compare.comparison import compare_runs
from nnunet_hetero.evaluation.compare.published import averages, table_1
from nnunet_hetero.evaluation.compare.table import lay_out
from nnunet_hetero.evaluation.sweep.run import read_run
from nnunet_hetero.modalities import Modalities


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
