"""The DICOM series of a case, each with what its headers say that it is."""

from __future__ import annotations

from collections.abc import Iterator

from nnunet_hetero.intake.dicom.facts import facts_of
from nnunet_hetero.intake.dicom.scan import Scan, common_folder
from nnunet_hetero.intake.files.tree import FolderTree, Tree
from nnunet_hetero.intake.proposal.candidates import Candidate
from nnunet_hetero.intake.proposal.sequences import verdict_of_series
from nnunet_hetero.intake.proposal.verdict import Vocabulary


def find_dicom(tree: Tree, found: Scan, place: str, vocabulary: Vocabulary) -> Iterator[Candidate]:
    """The series in a folder or a zip, and the files that should be DICOM and cannot be read.

    Args:
        tree: The folder or zip.
        found: What lies in it.
        place: Its path below the input folder.
        vocabulary: Of the model.
    """
    for uid, files in found.series.items():
        inner = common_folder([name for name, _ in files])
        below = f"{place}/{inner}".rstrip("/") if isinstance(tree, FolderTree) else place
        facts = facts_of(files, (inner or place).rpartition("/")[2])
        yield Candidate(f"{below}#{uid}", verdict_of_series(facts, vocabulary), facts.is_derived, facts.part)
    for name, problem in found.unreadable.items():
        joint = "/" if isinstance(tree, FolderTree) else "#"
        yield Candidate(f"{place}{joint}{name}", vocabulary.any(f"cannot be read as DICOM: {problem}"))
