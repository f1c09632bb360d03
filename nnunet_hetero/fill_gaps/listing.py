"""What dataset.json says about gaps: ``missing_modalities``, and the files where it lists them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from nnunet_hetero.cases.raw_dataset import DATASET_JSON, read_dataset_json
from nnunet_hetero.fill_gaps.case_folder import CaseFolder
from nnunet_hetero.fill_gaps.record import Record, write_json

MISSING = "missing_modalities"


def missing_modalities(cohort: CaseFolder, earlier: Record, record: Record) -> dict[str, list[str]]:
    """Case → names of the modalities that it lacks, in channel order.

    Args:
        cohort: Its dataset.json may list gaps already, such as those that a converter filled.
        earlier: The record before this run; what it has and the other record has not is an image by now.
        record: The record after it.
    """
    listed = cohort.dataset_json.get(MISSING, {}) if cohort.training else {}
    table = {}
    for case in sorted({*listed, *record.files}):
        gaps = set(listed.get(case, ())) - set(earlier.files.get(case, ())) | set(record.files.get(case, ()))
        if gaps:
            table[case] = [name for name in cohort.modalities.names if name in gaps]
    return table


def list_gaps(cohort: CaseFolder, earlier: Record, record: Record) -> None:
    """Put the gaps into dataset.json, after the files are written."""

    def change(content: dict) -> None:
        table = missing_modalities(cohort, earlier, record)
        if table or record.listed_before is not None:
            content[MISSING] = table
        for case, before in record.images_before.items():
            content["dataset"][case]["images"] = with_images(cohort, before, record.files.get(case, {}))

    _change(cohort, change)


def unlist_gaps(cohort: CaseFolder, record: Record, kept: set[str]) -> None:
    """Take the gaps out of dataset.json again.

    Args:
        cohort: Where.
        record: What was written.
        kept: Those of the files that stay, since they are images by now.
    """

    def change(content: dict) -> None:
        table, before = content.get(MISSING, {}), record.listed_before or {}
        for case, files in record.files.items():
            gaps = [name for name in table.get(case, ()) if name not in files or name in before.get(case, ())]
            table.pop(case, None)
            if gaps:
                table[case] = gaps
        if not table and record.listed_before is None:
            content.pop(MISSING, None)
        for case, images in record.images_before.items():
            stay = {name: file for name, file in record.files.get(case, {}).items() if file in kept}
            content["dataset"][case]["images"] = with_images(cohort, images, stay) if stay else images

    _change(cohort, change)


def with_images(cohort: CaseFolder, entries: Sequence[str | None], files: Mapping[str, str]) -> list[str | None]:
    """A case's list of images in dataset.json with more of them, one entry per channel.

    Args:
        cohort: Where.
        entries: The list, see `CaseFolder.images_by_channel`.
        files: Modality → file to put in.
    """
    by_channel = zip(cohort.modalities.names, cohort.images_by_channel(entries), strict=True)
    return [files.get(name, path) for name, path in by_channel]


def _change(cohort: CaseFolder, change: Callable[[dict], None]) -> None:
    content = read_dataset_json(cohort.folder)
    before = read_dataset_json(cohort.folder)
    change(content)
    if content != before:
        write_json(cohort.folder / DATASET_JSON, content)
