"""Series of a tree, with where they lie."""

from __future__ import annotations

import shutil

from nnunet_hetero.intake.dicom.finding import find_dicom
from nnunet_hetero.intake.dicom.scan import scan
from nnunet_hetero.intake.files.tree import folder_tree, zip_tree
from nnunet_hetero.intake.proposal.verdict import Vocabulary
from nnunet_hetero.modalities import Modalities

BRATS = Vocabulary(Modalities(("T1", "T1c", "T2", "FLAIR")))


def test_sources(study, tmp_path):
    tree = folder_tree(study / "Fall 1")
    found = [*find_dicom(tree, scan(tree, tree.names), "Fall 1", BRATS)]
    assert {one.source.partition("#")[0] for one in found} == {f"Fall 1/DICOM Köpfe/S{n}" for n in (1, 2, 3, 4, 9)}
    assert [one.derived for one in found if "ADC" in one.verdict.why] == [True]
    shutil.make_archive(str(tmp_path / "a"), "zip", study)
    tree = zip_tree(tmp_path / "a.zip")
    zipped = find_dicom(tree, scan(tree, tree.names), "a.zip", BRATS)
    assert {one.source.partition("#")[0] for one in zipped} == {"a.zip"}
