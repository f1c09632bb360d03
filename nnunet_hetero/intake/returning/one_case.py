"""The results of one case on the grids of its images as they came from the scanner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from nnunet_hetero.cases.geometry import read_geometry
from nnunet_hetero.cases.label_maps.labels import shown
from nnunet_hetero.cases.label_maps.written_image import require_written
from nnunet_hetero.errors import DataError, SettingsError
from nnunet_hetero.inference.output.run_record import RUN_NAME, RUNS
from nnunet_hetero.inference.output.volumes import plain_name, region_sizes
from nnunet_hetero.intake.cohort.records import CASES, CaseRecord, transform_file
from nnunet_hetero.intake.contents import contents_of
from nnunet_hetero.intake.dicom.scan import is_series
from nnunet_hetero.intake.dicom_seg import write_segmentation
from nnunet_hetero.intake.files.volumes import read_volume
from nnunet_hetero.intake.images.grids import grid_from, grid_of, voxel_millilitres
from nnunet_hetero.intake.proposal.verdict import GIVEN
from nnunet_hetero.intake.returning.record import RECORD_NAME, Volumes, write_record
from nnunet_hetero.intake.returning.results import Results
from nnunet_hetero.intake.series import Series
from nnunet_hetero.intake.way_back import WayBack
from nnunet_hetero.io.atomic_files import Unfinished
from nnunet_hetero.io.provenance import Provenance, stamp
from nnunet_hetero.nnunet.extent import MILLILITRES, VoxelSize
from nnunet_hetero.nnunet.regions import Region

ALL, REFERENCE = "all", "reference"
"""What ``--to`` may be besides a modality."""

AGAIN = "Predict the case again."
"""What to do about a result with values that cannot be."""

SEGMENTATION, ON, ENDING, DICOM_ENDING = "segmentation", "_on_", ".nii.gz", ".dcm"
"""Parts of the names of files."""


@dataclass(frozen=True)
class ReturnJob:
    """What is to be done.

    Args:
        intake: Output folder of the intake.
        record: The case's.
        results: What was predicted of it.
        back: Folder to write to.
        to: A modality, `ALL` or `REFERENCE`.
        regions: Label values by name.
        predictions: Where the results lie.
        folder: The input folder of the intake.
        dicom_seg: Whether to write DICOM Segmentations beside; with `ALL`, for the images that were DICOM series.
    """

    intake: Path
    record: CaseRecord
    results: Results
    back: Path
    to: str
    regions: Mapping[str, Region]
    predictions: Path
    folder: Path
    dicom_seg: bool = False

    @property
    def case(self) -> str:
        """Its name."""
        return self.record["case"]

    def made_from(self) -> Provenance:
        """What its files depend on.

        Raises:
            SettingsError: If the case has no such image.
        """
        targets = self.targets()
        sources: dict[str, Path | None] = {"label map": self.results.label_map, **self.results.maps}
        sources["record"] = self.intake / CASES / f"{self.case}.json"
        for name in targets:
            sources[f"transform {name}"] = self.intake / transform_file(self.case, name)
        if self.dicom_seg:
            sources |= {f"series {name}": self.folder / self.series(name).place for name in targets}
        settings: dict[str, Any] = {"to": targets, "regions": _labels(self.regions), "dicom_seg": self.dicom_seg}
        if self.dicom_seg:
            settings["contents"] = contents_of(map(self.series, targets), self.folder)
        return Provenance.of(sources, settings)

    def targets(self) -> list[str]:
        """The modalities whose images are meant.

        Raises:
            SettingsError: If the case has no such image.
        """
        there = [name for name, image in self.record["images"].items() if image["grid"] is not None]
        if self.to == ALL:
            return there
        name = self.record["reference"] if self.to == REFERENCE else self.to
        if name not in there:
            raise SettingsError(
                f"Case '{self.case}' has no image of {name}; it has {', '.join(there)}. Choose with --to."
            )
        return [name]

    def series(self, name: str) -> Series:
        """Where the image of a modality came from."""
        return Series(self.case, self.record["images"][name]["source"], name, GIVEN, "")

    def is_dicom(self, name: str) -> bool:
        """Whether that is a DICOM series."""
        return is_series(self.series(name).place, self.series(name).inner, self.folder)


def return_case(job: ReturnJob) -> list[Volumes]:
    """Write the results of a case to ``BACK/CASE``, all of them or nothing.

    Raises:
        DataError: If there is no label map, it lies elsewhere, or it was made from other images.
        SettingsError: If the case has no such image.
        OSError: If the disk does not take it.
    """
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    (job.back / job.case / RECORD_NAME).unlink(missing_ok=True)
    for ending in (ENDING, DICOM_ENDING):
        for file in (job.back / job.case).glob(f"*{ON}*{ending}"):  # of an earlier run, perhaps on other images
            file.unlink()
    way, to, made_from = _way_back(job), job.targets(), job.made_from()
    if job.results.label_map is None:
        raise DataError(f"Case '{job.case}' has no label map in {job.predictions}. Predict it first.")
    _require_of_these_images(job)
    label_map = read_volume(job.results.label_map, f"Case '{job.case}': {job.results.label_map}", AGAIN)
    _require_known(label_map, job)
    maps = {what: read_volume(file, f"Case '{job.case}': {file}", AGAIN) for what, file in job.results.maps.items()}
    volumes: list[Volumes] = []
    (job.back / job.case).mkdir(parents=True, exist_ok=True)
    unfinished = Unfinished(job.back / job.case)
    try:
        folder = unfinished.folder / job.case
        folder.mkdir()
        for name in to:
            returned = way.labels(label_map, name)
            _write(returned, folder / file_name(SEGMENTATION, name))
            if job.dicom_seg and (job.to != ALL or job.is_dicom(name)):
                target = folder / file_name(SEGMENTATION, name, DICOM_ENDING)
                write_segmentation(returned, _labels(job.regions), job.series(name), job.folder, target)
            volumes += _volumes(label_map, returned, name, job.regions)
            for what, image in maps.items():
                _write(way.map(image, name), folder / file_name(what, name))
        write_record(folder, volumes, made_from)
        unfinished.publish(f"{job.case}/{RECORD_NAME}")
    finally:
        unfinished.drop()
    return volumes


def file_name(what: str, to: str, ending: str = ENDING) -> str:
    """E.g. ``segmentation_on_T1c.nii.gz``."""
    return f"{plain_name(what)}{ON}{plain_name(to)}{ending}"


def _labels(regions: Mapping[str, Region]) -> dict[str, int | list[int]]:
    return {name: value if isinstance(value, int) else list(value) for name, value in regions.items()}


def _way_back(job: ReturnJob) -> WayBack:
    images, reference = job.record["images"], job.record["reference"]
    grids = {name: grid_from(image["grid"]) for name, image in images.items() if image["grid"] is not None}
    transforms = {}
    for name in grids:
        file = job.intake / transform_file(job.case, name)
        if not file.is_file():  # ITK would write pages about HDF5
            raise DataError(f"Case '{job.case}': the transform {file} is gone. Run nnunet_hetero intake again.")
        try:
            transforms[name] = sitk.ReadTransform(str(file))
        except RuntimeError as error:
            raise DataError(
                f"Case '{job.case}': the transform {file} cannot be read. Run nnunet_hetero intake again."
            ) from error
    return WayBack(job.case, reference, read_geometry(job.intake / str(images[reference]["file"])), grids, transforms)


def _require_of_these_images(job: ReturnJob) -> None:
    """An intake that was run again has other images than those that were segmented."""
    runs = RUNS.or_aside(job.predictions / RUN_NAME) or {}
    made_from = runs.get("cases", {}).get(job.case, {}).get("made_from", {})
    for entry in made_from.get("sources", {}).values():
        now = stamp(entry["path"])
        if Path(entry["path"]).parent == (job.intake / "images").resolve() and now != entry:
            raise DataError(
                f"Case '{job.case}' was predicted from another {entry['path']} than the one that is there now. Predict "
                "it again."
            )


def _require_known(label_map: sitk.Image, job: ReturnJob) -> None:
    """Decimals and labels of another model would be lost on the way without a word."""
    known = {0}
    for labels in job.regions.values():
        known.update([labels] if isinstance(labels, int) else labels)
    others = set(np.unique(sitk.GetArrayViewFromImage(label_map)).tolist()) - known
    if others:
        raise DataError(
            f"Case '{job.case}': {job.results.label_map} has the values {shown(others)}; the model's labels are "
            f"{shown(known)}. Predict the case again, by the model that it was prepared for."
        )


def _write(image: sitk.Image, file: Path) -> None:
    sitk.WriteImage(image, str(file), useCompression=True)
    expected = sitk.GetArrayViewFromImage(image)
    require_written(file, expected, lambda path: sitk.GetArrayFromImage(sitk.ReadImage(path)))


def _volumes(before: sitk.Image, after: sitk.Image, to: str, regions: Mapping[str, Region]) -> list[Volumes]:
    sizes = []
    for image in (before, after):
        voxel = VoxelSize(voxel_millilitres(grid_of(image)), MILLILITRES)
        sizes.append(region_sizes(np.asarray(sitk.GetArrayViewFromImage(image)), regions, voxel))
    return [Volumes(to, region, sizes[0][region], sizes[1][region]) for region in regions]
