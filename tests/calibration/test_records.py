"""What is kept of a case, as a file."""

from __future__ import annotations

import re

import numpy as np
from calibration.test_fit import row

from nnunet_hetero.calibration.records import CaseRecord, counts_of
from nnunet_hetero.io.provenance import Provenance
from nnunet_hetero.reliability.temperature import BINS

MADE_FROM = Provenance.of({}, {"draws": 10})
COUNTS = {"near": [[1] * BINS, [0] * BINS], "brain": [[5] * BINS, [2] * BINS]}
MOVED = {"in_place": 1.0, "elsewhere": 0.2, "distance": 8.0}
SIGNS = {
    "explained": {"T1": {"T2": {"completed": [0.1, 0.9], "mirrored": [0.2] * 6, "moved": MOVED}}},
    "contrast": {"T1": {"T2": -1.5}},
    "posterior": {"T1": {"T1": [0.5, 1.0]}},
}
RECORD = CaseRecord([{**row("a", 3.0), "dice": None}], {"core": {"T1": COUNTS}}, SIGNS)


def test_there_and_back(tmp_path):
    file = tmp_path / "new" / "a.json"
    RECORD.write(file, MADE_FROM)
    assert CaseRecord.read(file, MADE_FROM, ["core"]) == RECORD
    assert counts_of(RECORD.voxels["core"]["T1"], "brain").sum() == 7 * BINS
    assert np.array_equal(counts_of(RECORD.voxels["core"]["T1"], "near")[0], np.ones(BINS))


def test_made_from_something_else_it_does_not_count(tmp_path):
    RECORD.write(tmp_path / "a.json", MADE_FROM)
    assert CaseRecord.read(tmp_path / "a.json", Provenance.of({}, {"draws": 11}), ["core"]) is None
    assert CaseRecord.read(tmp_path / "b.json", MADE_FROM, ["core"]) is None


def test_of_regions_that_have_other_names_now_it_does_not_count(tmp_path, capsys):
    RECORD.write(tmp_path / "a.json", MADE_FROM)
    assert CaseRecord.read(tmp_path / "a.json", MADE_FROM, ["necrosis"]) is None
    assert capsys.readouterr().out == ""


def test_a_damaged_one_is_put_aside(tmp_path, capsys):
    RECORD.write(tmp_path / "a.json", MADE_FROM)
    text = (tmp_path / "a.json").read_text()
    for broken in (
        text[:-9],
        text.replace('"fold": "0"', '"fold": 0'),
        re.sub(r'"rows": \[[^]]*\]', '"rows": []', text),
    ):
        (tmp_path / "a.json").write_text(broken)
        assert CaseRecord.read(tmp_path / "a.json", MADE_FROM, ["core"]) is None
        assert "a.json.damaged" in capsys.readouterr().out


def test_one_of_an_earlier_version_is_not_damaged(tmp_path, capsys):
    file = tmp_path / "a.json"
    RECORD.write(file, MADE_FROM)
    file.write_text(file.read_text().replace('"surface"', '"entropy"'))
    assert CaseRecord.read(file, Provenance.of({}, {"draws": 10, "record": 5}), ["core"]) is None
    assert file.is_file() and capsys.readouterr().out == ""
