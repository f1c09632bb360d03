"""What a prediction wrote of a case: its label map, completed images, maps of uncertainty."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nnunet_hetero.inference.output.case_writer import (
    COMPLETED_FOLDER,
    NUMBERED_FORMATS,
    UNCERTAINTY_FOLDER,
)


@dataclass(frozen=True)
class Results:
    """The files of a case.

    Args:
        case: Its name.
        label_map: The segmentation; None if there is none.
        maps: What a map shows, such as ``completed T2`` → its file.
    """

    case: str
    label_map: Path | None
    maps: dict[str, Path]


def find_results(folder: Path, cases: list[str], modalities: list[str], file_ending: str) -> dict[str, Results]:
    """What a folder of predictions has of some cases.

    Args:
        folder: That of ``nnunet_hetero predict -o``.
        cases: Their names.
        modalities: The model's, in channel order.
        file_ending: Of its label maps.
    """
    found = {}
    for case in cases:
        label_map = folder / f"{case}{file_ending}"
        maps = dict(_completed(folder / COMPLETED_FOLDER, case, modalities))
        # The name of one case may begin like that of another.
        longer = [other for other in cases if other != case and other.startswith(f"{case}_")]
        maps.update(_uncertainty(folder / UNCERTAINTY_FOLDER, case, longer))
        found[case] = Results(case, label_map if label_map.is_file() else None, maps)
    return found


def other_label_maps(folder: Path, cases: list[str], file_ending: str) -> list[str]:
    """Names of label maps of a folder that are of none of some cases."""
    names = (file.name.removesuffix(file_ending) for file in sorted(folder.glob(f"*{file_ending}")))
    return [name for name in names if name not in cases]


def _completed(folder: Path, case: str, modalities: list[str]) -> Iterator[tuple[str, Path]]:
    for channel, name in enumerate(modalities):
        for ending in NUMBERED_FORMATS:
            file = folder / f"{case}_{channel:04d}{ending}"
            if file.is_file():
                yield f"completed {name}", file
                break


def _uncertainty(folder: Path, case: str, longer: list[str]) -> Iterator[tuple[str, Path]]:
    for file in sorted(folder.glob(f"{case}_*")):
        ending = next((one for one in NUMBERED_FORMATS if file.name.endswith(one)), None)
        if ending is not None and not any(file.name.startswith(f"{other}_") for other in longer):
            yield file.name.removesuffix(ending).removeprefix(f"{case}_"), file
