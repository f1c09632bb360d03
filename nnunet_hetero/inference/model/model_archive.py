"""Models as zip files, as ``nnUNetv2_export_model_to_zip`` makes them: look at everything, then install or refuse."""

from __future__ import annotations

import filecmp
import os
import shutil
import stat
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from nnunet_hetero.cases.image_files import require_file
from nnunet_hetero.errors import SettingsError
from nnunet_hetero.inference.model.as_trained import require_whole_model
from nnunet_hetero.io.atomic_files import Unfinished, alone_in
from nnunet_hetero.io.checkpoints import TRUST_FLAG, load_checkpoint
from nnunet_hetero.nnunet.model_gate import read_model_dataset_json, read_model_plans

ENDINGS = (".json", ".pth", ".png", ".pdf", ".txt", ".csv", ".md", ".nii.gz", ".nii", ".nrrd", ".mha", ".gipl", ".tif")
"""What an exported model is made of, validation's segmentations included."""


def install_model(
    archive: str | os.PathLike, results: str | os.PathLike, *, overwrite: bool = False, trusted: bool = False
) -> list[Path]:
    """Install the models of a zip file; nothing is installed if anything in it is refused.

    Args:
        archive: The zip file.
        results: Folder to install to, ``nnUNet_results``.
        overwrite: Whether to replace a model that is there.
        trusted: Whether the user vouches for the file. Pickles are then installed too, and checkpoints and plans are
            not looked at; paths that lead out of the folder are refused all the same.

    Returns:
        The folders of the models.

    Raises:
        SettingsError: If the file is no model, is damaged, holds anything that it should not, or the model is there.
        DataError: If there is no such file.
        OSError: If it cannot be read, or the folder not be written to.
    """
    results = Path(results)
    require_file(archive, "The model")
    try:
        with zipfile.ZipFile(archive) as opened:
            members = _checked_members(opened, archive)
            left_out = [] if trusted else [entry for entry in members if entry.filename.endswith(".pkl")]
            members = [entry for entry in members if entry not in left_out]
            _require_known_files(members, archive, trusted)
            results.mkdir(parents=True, exist_ok=True)
            needed, free = sum(entry.file_size for entry in members), shutil.disk_usage(results).free
            if needed > free:
                raise SettingsError(f"{archive} unpacks to {needed} bytes, but {results} has {free} left.")
            # On the same disk, so that moving is all or nothing.
            unpacked = Unfinished(results / Path(archive).name)
            try:
                opened.extractall(unpacked.folder, members)
                models = _checked_models(unpacked.folder, trusted)
                with alone_in(results, wait=True):
                    _move(unpacked.folder, models, results, overwrite)
            finally:
                unpacked.drop()
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, RuntimeError) as error:
        raise SettingsError(f"{archive} cannot be unpacked: {error}. Get the file again.") from error
    for entry in left_out:
        print(f"Left out {entry.filename}: a pickle can run any code. {TRUST_FLAG} installs it.")
    return [results / model for model in models]


def _checked_members(opened: zipfile.ZipFile, archive: str | os.PathLike) -> list[zipfile.ZipInfo]:
    """The files of the archive, each a plain file below the folder of a dataset."""
    files = [entry for entry in opened.infolist() if not entry.is_dir()]
    seen = set()
    for entry in opened.infolist():
        name = entry.filename
        parts = PurePosixPath(name).parts
        outside = name.startswith("/") or ".." in parts or "\\" in name or ":" in name or "\0" in entry.orig_filename
        # The upper half of this field are the mode bits, where a Unix system made the archive.
        mode = entry.external_attr >> 16
        if outside:
            raise SettingsError(f"{archive} is refused: '{name}' leads out of the folder that it is unpacked to.")
        if not name.isprintable():
            raise SettingsError(f"{archive} is refused: {name!r} is no file name, it has characters that nobody sees.")
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise SettingsError(f"{archive} is refused: '{name}' is a link or a device, a model has plain files only.")
        if name.lower() in seen:
            raise SettingsError(f"{archive} is refused: it holds '{name}' twice.")
        seen.add(name.lower())
    if not any(_model_of(entry.filename) for entry in files):
        raise SettingsError(
            f"{archive} holds no model: expected files below DatasetNNN_NAME/TRAINER__PLANS__CONFIGURATION, as "
            "nnUNetv2_export_model_to_zip writes them."
        )
    return files


def _require_known_files(members: Sequence[zipfile.ZipInfo], archive: str | os.PathLike, trusted: bool) -> None:
    for entry in members:
        parts = PurePosixPath(entry.filename).parts
        in_dataset = len(parts) > 1 and parts[0].startswith("Dataset")
        known = entry.filename.endswith((*ENDINGS, ".pkl") if trusted else ENDINGS)
        if not in_dataset or not known:
            raise SettingsError(f"{archive} is refused: '{entry.filename}' is no file of a model.")


def _model_of(name: str) -> Path | None:
    """``DATASET/TRAINER__PLANS__CONFIGURATION`` that a file belongs to, None for others such as ensembles."""
    parts = PurePosixPath(name).parts
    if len(parts) > 2 and parts[0].startswith("Dataset") and len(parts[1].split("__")) == 3:
        return Path(parts[0], parts[1])
    return None


def _checked_models(folder: Path, trusted: bool) -> list[Path]:
    files = [file.relative_to(folder) for file in folder.rglob("*") if file.is_file()]
    found = {_model_of(file.as_posix()) for file in files}
    models = sorted(model for model in found if model is not None)
    for model in models:
        for name in ("plans.json", "dataset.json"):
            if not (folder / model / name).is_file():
                raise SettingsError(f"The model {model} has no {name}. Export it again.")
        if not any((folder / model).glob("fold_*/*.pth")):
            raise SettingsError(f"The model {model} has no checkpoint. Export it again, and name its folds with -f.")
    if not trusted:
        _require_harmless(folder, files)
    for model in models:
        # Errors name the files as they are called in the archive.
        require_whole_model(folder / model, sorted((folder / model).glob("fold_*/*.pth")), trusted, model)
    return models


def _same_content(one: Path, other: Path) -> bool:
    """Whether two folders hold the same files."""
    files = _files_in(one)
    return files == _files_in(other) and all(filecmp.cmp(one / file, other / file, shallow=False) for file in files)


def _files_in(root: Path) -> list[Path]:
    """All files below a folder, relative to it."""
    return sorted(path.relative_to(root) for path in root.rglob("*") if path.is_file())


def _require_harmless(folder: Path, files: Sequence[Path]) -> None:
    """Look at every file that a command may be pointed at later, wherever it lies and whatever model it belongs to."""
    for file in files:
        if file.name == "plans.json":
            read_model_plans(folder / file)
        elif file.name == "dataset.json":
            read_model_dataset_json(folder / file)
        elif file.suffix == ".pth":
            load_checkpoint(folder / file, mmap=True)


def _move(folder: Path, models: Sequence[Path], results: Path, overwrite: bool) -> None:
    there = [model for model in models if (results / model).exists()]
    if len(there) < len(models):  # an installation of several that was killed is finished by the same command
        there = [model for model in there if not _same_content(folder / model, results / model)]
    if there and not overwrite:
        raise SettingsError(
            f"{results / there[0]} is there already. Remove it, or replace it with --overwrite (all of its folds)."
        )
    # What belongs to a dataset and not to one model: ensembles, nnU-Net's notes on inference.
    for file in sorted(folder.glob("Dataset*/**/*")):
        if file.is_file() and _model_of(file.relative_to(folder).as_posix()) not in models:
            target = results / file.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(file, target)
    replaced = folder / ".replaced"
    for model in models:
        (results / model).parent.mkdir(exist_ok=True)
        if (results / model).exists():
            (replaced / model).parent.mkdir(parents=True, exist_ok=True)
            os.replace(results / model, replaced / model)
        os.replace(folder / model, results / model)
