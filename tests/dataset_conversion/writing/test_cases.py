"""The table of cases, the summary of sites and gaps, and cohorts that cannot be a dataset."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.cohorts.three_sites import convert, write_three_sites

from nnunet_hetero.dataset_conversion.writing.cases import CaseRecord, read_case_table, write_case_table
from nnunet_hetero.errors import DataError


@pytest.fixture
def raw(tmp_path, write_case) -> Path:
    return write_three_sites(tmp_path / "raw", write_case)


class TestCaseTable:
    def test_rows(self, raw, nnunet_raw):
        assert convert(raw, "--unlabelled-to-imagesTs") == 0
        assert (nnunet_raw / "Dataset501_BraTS" / "cases.csv").read_text().splitlines() == [
            "case,patient,site,grade,subset,modalities",
            "Brats18_2013_0_1,Brats18_2013_0,2013,LGG,test,T1;T2;FLAIR",
            "Brats18_CBICA_AQN_1,Brats18_CBICA_AQN,CBICA,HGG,train,T1;T1c;T2;FLAIR",
            "Brats18_TCIA01_131_1,Brats18_TCIA01_131,TCIA,HGG,train,T1;T1c;T2;FLAIR",
            "Brats18_TCIA10_628_1,Brats18_TCIA10_628,TCIA,LGG,train,T1;T2;FLAIR",
        ]

    def test_reads_what_it_writes(self, tmp_path):
        records = [
            CaseRecord("a", "p", "", "", "train", ("T1+Gd", "T2")),
            CaseRecord("b", "p", 'Clinic "A", B', "HGG", "test", ("T2",)),
        ]
        (tmp_path / "cases.csv").write_bytes(write_case_table(records))
        assert read_case_table(tmp_path) == records

    def test_missing_table_and_columns(self, tmp_path):
        with pytest.raises(DataError, match=r"cases\.csv is not there"):
            read_case_table(tmp_path)
        (tmp_path / "cases.csv").write_text("case,site\na,b\n")
        with pytest.raises(DataError, match="has no column 'patient'"):
            read_case_table(tmp_path)

    def test_sites_and_grades_of_2020_come_from_its_table(self, tmp_path, write_case, nnunet_raw):
        for index in (1, 2):
            write_case(tmp_path / f"raw/BraTS20_Training_00{index}", index)
        (tmp_path / "raw/name_mapping.csv").write_text(
            "Grade,BraTS_2017_subject_ID,BraTS_2018_subject_ID,TCGA_TCIA_subject_ID,BraTS_2019_subject_ID,"
            "BraTS_2020_subject_ID\n"
            "HGG,Brats17_CBICA_AAB_1,Brats18_CBICA_AAB_1,NA,BraTS19_CBICA_AAB_1,BraTS20_Training_001\n"
            "LGG,NA,NA,NA,BraTS19_TMC_06290_1,BraTS20_Training_002\n"
        )
        assert convert(tmp_path / "raw") == 0
        rows = read_case_table(nnunet_raw / "Dataset501_BraTS")
        assert [(row.site, row.grade) for row in rows] == [("CBICA", "HGG"), ("TMC", "LGG")]
