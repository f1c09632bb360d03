"""One case from its files to the output folder: read, prepare, write all of it or nothing."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from PIL import Image

from nnunet_hetero.cases.label_maps.written_image import require_written
from nnunet_hetero.errors import DataError
from nnunet_hetero.intake.cohort.records import (
    CASES,
    IMAGES,
    PICTURES,
    TRANSFORMS,
    CaseRecord,
    ImageRecord,
    found_registration,
    transform_file,
)
from nnunet_hetero.intake.contents import contents_of
from nnunet_hetero.intake.images.grids import stored_grid
from nnunet_hetero.intake.images.mask_files import MaskFile, find_mask
from nnunet_hetero.intake.judging import require_decided, require_one_patient, require_one_session
from nnunet_hetero.intake.one_case import ABSENT, REGISTERED, RESAMPLED, Fate, PreparedCase, prepare_images
from nnunet_hetero.intake.opening import frame_of_reference, opened
from nnunet_hetero.intake.options import IntakeOptions
from nnunet_hetero.intake.registration.mosaic import MosaicRow, mosaic
from nnunet_hetero.intake.series import Series
from nnunet_hetero.intake.target import Target
from nnunet_hetero.io.atomic_files import Unfinished, replace_json, require_whole
from nnunet_hetero.io.provenance import Provenance


@dataclass(frozen=True)
class CaseJob:
    """What is to be done.

    Args:
        case: Name of the case.
        series: Its rows.
        folder: The input folder.
        out: The output folder.
        target: What the model wants.
        options: How.
    """

    case: str
    series: tuple[Series, ...]
    folder: Path
    out: Path
    target: Target
    options: IntakeOptions

    @property
    def used(self) -> list[Series]:
        """The rows that are a modality, in channel order."""
        used = [row for row in self.series if row.is_used]
        return sorted(used, key=lambda row: self.target.modalities.index(row.modality))

    def made_from(self) -> Provenance:
        """What its files depend on."""
        target = self.target
        settings = {
            **self.options.to_json(),
            "modalities": list(target.modalities.names),
            "orientation": target.orientation,
            "zero_background": target.zero_background,
            "litres": target.litres,
            "sources": {row.modality: row.source for row in self.used},
            "contents": contents_of(self.used, self.folder),
        }
        sources: dict[str, Path] = {row.modality: self.folder / row.place for row in self.used}
        mask = self.mask_file()
        if mask is not None:
            sources["mask"] = mask.place
        return Provenance.of(sources, settings)

    def mask_file(self) -> MaskFile | None:
        """Where its mask lies; None if none is wanted.

        Raises:
            DataError: If there is no such file.
        """
        if self.options.mask is None:
            return None
        entries = dict.fromkeys(self.folder / row.place.partition("/")[0] for row in self.series)
        return find_mask(self.options.mask, self.case, list(entries))


def write_case(job: CaseJob) -> CaseRecord:
    """Do it.

    Returns:
        The record that was written.

    Raises:
        DataError: If the case cannot be prepared; nothing of it is left then.
        SettingsError: If a program or an extra that it needs is not there.
        OSError: If the disk does not take it.
    """
    # Cases are done side by side, and each is the same with one thread.
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    remove_case(job.out, job.case, job.target)
    try:
        return _write_case(job)
    except DataError as error:
        text = str(error)
        raise error if text.startswith("Case ") else DataError(f"Case '{job.case}': {text}") from error


def remove_case(out: Path, case: str, target: Target) -> None:
    """Take away what an earlier run wrote of a case, its record first."""
    (out / CASES / f"{case}.json").unlink(missing_ok=True)
    (out / PICTURES / f"{case}.png").unlink(missing_ok=True)
    for channel in range(len(target.modalities)):
        (out / image_file(case, channel, target)).unlink(missing_ok=True)
    shutil.rmtree(out / TRANSFORMS / case, ignore_errors=True)


def image_file(case: str, channel: int, target: Target) -> Path:
    """Where an image is written, below the output folder."""
    return Path(IMAGES) / f"{case}_{channel:04d}{target.file_ending}"


def _write_case(job: CaseJob) -> CaseRecord:
    require_decided(job.series, job.target.modalities)
    if not job.options.several_patients:
        require_one_patient(job.series, job.folder)
    if not job.options.several_sessions:
        require_one_session(job.series, job.folder)
    made_from = job.made_from()
    given, frames = _read(job)
    mask = _mask(job)
    prepared = prepare_images(job.case, given, job.target, job.options, frames, mask)
    record: CaseRecord = {
        "case": job.case,
        "reference": prepared.reference,
        "images": {row.modality: _image_record(job, row, prepared, frames) for row in job.used},
        "made_from": made_from.to_json(),
    }
    _write(job, prepared, given, record)
    return record


def _read(job: CaseJob) -> tuple[dict[str, sitk.Image], dict[str, str | None]]:
    images, frames = {}, {}
    for row in job.used:
        with tempfile.TemporaryDirectory() as scratch:
            images[row.modality] = opened(row, job.folder, Path(scratch))
        frames[row.modality] = frame_of_reference(row, job.folder)
    return images, frames


def _mask(job: CaseJob) -> sitk.Image | None:
    file = job.mask_file()
    if file is None:
        return None
    with tempfile.TemporaryDirectory() as scratch:
        return file.read(job.case, Path(scratch))


def _image_record(job: CaseJob, row: Series, prepared: PreparedCase, frames: dict[str, str | None]) -> ImageRecord:
    name, fate = row.modality, prepared.fates[row.modality]
    absent = fate.became == ABSENT
    channel = job.target.modalities.index(name)
    notes = [*fate.notes, *([prepared.skulls[name]] if name in prepared.skulls else [])]
    return {
        "source": row.source,
        "became": fate.became,
        "file": None if absent else image_file(job.case, channel, job.target).as_posix(),
        "grid": None if absent else stored_grid(prepared.grids[name]),
        "frame_of_reference": frames[name],
        "registration": found_registration(fate.registration),
        "doubt": fate.doubt,
        "notes": notes,
    }


def _write(job: CaseJob, prepared: PreparedCase, given: dict[str, sitk.Image], record: CaseRecord) -> None:
    out, case = job.out, job.case
    last = Path(CASES) / f"{case}.json"
    for folder in (IMAGES, PICTURES, CASES, f"{TRANSFORMS}/{case}"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    unfinished = Unfinished(out / case)
    try:
        for folder in (IMAGES, PICTURES, CASES, f"{TRANSFORMS}/{case}"):
            (unfinished.folder / folder).mkdir(parents=True)
        for name, image in prepared.images.items():
            channel = job.target.modalities.index(name)
            _write_image(image, unfinished.folder / image_file(case, channel, job.target))
            transform = prepared.transforms[name]
            sitk.WriteTransform(transform, str(unfinished.folder / transform_file(case, name)))
        picture = unfinished.folder / PICTURES / f"{case}.png"
        Image.fromarray(_picture(prepared, given)).save(picture)
        require_whole(picture)
        replace_json(unfinished.folder / last, record)
        unfinished.publish(str(last), checked=True)
    finally:
        unfinished.drop()


def _write_image(image: sitk.Image, file: Path) -> None:
    sitk.WriteImage(image, str(file), useCompression=True)
    expected = sitk.GetArrayViewFromImage(image)
    require_written(file, expected, lambda path: sitk.GetArrayFromImage(sitk.ReadImage(path)))


def _picture(prepared: PreparedCase, given: dict[str, sitk.Image]) -> np.ndarray:
    reference = prepared.reference
    rows = []
    for name, fate in prepared.fates.items():
        if name != reference and fate.became != ABSENT:
            moved = fate.became in (REGISTERED, RESAMPLED)
            rows.append(MosaicRow(_title(name, fate), given[name], prepared.transforms[name] if moved else None))
    return mosaic(f"{prepared.case}: {reference}, the reference", given[reference], rows)


def _title(name: str, fate: Fate) -> str:
    found = fate.registration
    if found is None:
        return f"{name}: {fate.became}"
    numbers = f"{found.shift:.1f} mm, {found.degrees:.1f} degrees, {found.before:.3f} to {found.after:.3f} nats"
    return f"{name}: {fate.became}; where its header says, and after. Registration: {numbers}"


def in_words(record: CaseRecord, names: Sequence[str]) -> str:
    """One line of what became of a case, images in the order of ``names``."""
    parts = []
    for name in names:
        image = record["images"].get(name)
        if image is None:
            continue
        found = image["registration"]
        moved = f" by {found['shift_mm']:.1f} mm and {found['degrees']:.1f} degrees" if found else ""
        parts.append(f"{name} {image['became']}{moved if image['became'] == REGISTERED else ''}")
    return f"{record['case']}: {', '.join(parts)}"
