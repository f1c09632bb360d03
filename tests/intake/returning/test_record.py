"""What a case was brought back from; a damaged record is none."""

from __future__ import annotations

import json

from nnunet_hetero.intake.returning.record import RECORD_NAME, Volumes, volumes_of_before, write_record
from nnunet_hetero.io.provenance import Provenance

VOLUMES = [Volumes("T1", "tumor", 12.5, 12.25), Volumes("T1", "core", 0.0, 0.0)]


def test_there_and_back(tmp_path):
    made_from = Provenance.of({"label map": __file__}, {"to": ["T1"]})
    (tmp_path / "segmentation_on_T1.nii.gz").touch()
    write_record(tmp_path, VOLUMES, made_from)
    assert volumes_of_before(tmp_path, made_from) == VOLUMES
    assert volumes_of_before(tmp_path, Provenance.of({"label map": __file__}, {"to": ["T2"]})) is None
    record = json.loads((tmp_path / RECORD_NAME).read_text(encoding="utf-8"))
    record["volumes"][0]["note"] = "of somebody else"
    (tmp_path / RECORD_NAME).write_text(json.dumps(record), encoding="utf-8")
    assert volumes_of_before(tmp_path, made_from) == VOLUMES
    (tmp_path / "segmentation_on_T1.nii.gz").unlink()
    assert volumes_of_before(tmp_path, made_from) is None


def test_none_or_damaged(tmp_path, capsys):
    made_from = Provenance.of({}, {})
    assert volumes_of_before(tmp_path, made_from) is None
    (tmp_path / RECORD_NAME).write_text("{", encoding="utf-8")
    assert volumes_of_before(tmp_path, made_from) is None
    assert "It is kept as" in capsys.readouterr().out
