"""The gate for a model's files: whoever's trainer they name, they pass here before nnU-Net or we act on them.

A checkpoint is a pickle, which can run any code when it is loaded. ``plans.json`` and ``dataset.json`` name classes
that nnU-Net imports and calls, and parts of file names. What may be in the one says `nnunet_hetero.io.checkpoints`,
what in the others `nnunet_hetero.nnunet.plan_names`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from typing_extensions import TypedDict

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.io.checkpoints import TRUST_FLAG, TRUST_VARIABLE, load_checkpoint
from nnunet_hetero.io.documents import Document
from nnunet_hetero.nnunet.plan_names import is_reader, named_by_plans

FILE_NAME = re.compile(r"(?!\.*$)[^/\\\0]+")
"""A name that leads to no other folder."""


class _Architecture(TypedDict, total=False):
    network_class_name: str
    arch_kwargs: dict[str, Any]
    _kw_requires_import: list[str]


class _Configuration(TypedDict, total=False):
    architecture: _Architecture
    normalization_schemes: list[str]
    data_identifier: str


class _Plans(TypedDict, total=False):
    configurations: dict[str, _Configuration]
    plans_name: str
    dataset_name: str


class _DatasetJson(TypedDict, total=False):
    file_ending: str
    overwrite_image_reader_writer: str | None


_AGAIN = "Get it again from where the model comes from."

NAMES_OF_PLANS = Document(_Plans, "the plans of a model, as nnU-Net writes them", _AGAIN, SettingsError)
NAMES_OF_DATASET_JSON = Document(_DatasetJson, "dataset.json, as nnU-Net wants it", _AGAIN, SettingsError)


def require_harmless_model(
    folder: str | os.PathLike, checkpoints: Iterable[str | os.PathLike], trusted: bool = False
) -> None:
    """Let a model's folder pass, or refuse it before anything that it names is imported or loaded.

    Args:
        folder: The model's; a file that is not there is no danger.
        checkpoints: Those that are going to be loaded.
        trusted: Whether the user vouches for the files.

    Raises:
        SettingsError: If a file is damaged, or names what is no part of a model.
    """
    if trusted:
        return
    for name, read in (("plans.json", read_model_plans), ("dataset.json", read_model_dataset_json)):
        if (Path(folder) / name).exists():
            read(Path(folder) / name)
    for file in checkpoints:
        load_checkpoint(file, mmap=True)


def read_model_plans(file: str | os.PathLike, trusted: bool = False) -> dict[str, Any]:
    """Content of plans that may come from elsewhere.

    Args:
        file: ``plans.json`` of a model, or the plans of a dataset.
        trusted: Whether the user vouches for the file.

    Raises:
        SettingsError: If it is damaged, or names what is no part of a model.
    """
    plans = NAMES_OF_PLANS.read(file)
    if not trusted:
        require_plain_plans(plans, file)
    return plans


def read_model_dataset_json(file: str | os.PathLike, trusted: bool = False) -> dict[str, Any]:
    """The same for ``dataset.json``."""
    dataset_json = NAMES_OF_DATASET_JSON.read(file)
    if not trusted:
        require_plain_dataset_json(dataset_json, file)
    return dataset_json


def require_plain_plans(plans: Mapping[str, Any], file: str | os.PathLike) -> None:
    """Refuse plans that name anything but nnU-Net's, its networks' and torch's own parts.

    Args:
        plans: Content of ``plans.json``.
        file: Where it lies, for the error.

    Raises:
        SettingsError: If so.
    """
    NAMES_OF_PLANS.check(plans, file)
    for place, wanted, is_right, what in named_by_plans(plans):
        if wanted is not None and not is_right(wanted):
            raise SettingsError(
                f"{file} names '{wanted}' as {place}, which is no {what}. nnU-Net would import and call whatever has "
                f"that name, so the model is refused. {_remedy()}"
            )
    for key in ("plans_name", "dataset_name"):
        _require_file_name(plans.get(key), key, file)
    for name, configuration in plans.get("configurations", {}).items():
        _require_file_name(name, "a configuration", file)
        _require_file_name(configuration.get("data_identifier"), "data_identifier", file)


def require_plain_dataset_json(dataset_json: Mapping[str, Any], file: str | os.PathLike) -> None:
    """Refuse a ``dataset.json`` that leads to other files, or to a reader of images that is none.

    Args:
        dataset_json: Its content.
        file: Where it lies, for the error.

    Raises:
        SettingsError: If so.
    """
    NAMES_OF_DATASET_JSON.check(dataset_json, file)
    _require_file_name(dataset_json.get("file_ending"), "file_ending", file)
    reader = dataset_json.get("overwrite_image_reader_writer")
    if reader not in (None, "None") and not is_reader(reader):
        raise SettingsError(
            f"{file} names '{reader}' as overwrite_image_reader_writer, which is no reader of images that nnU-Net has. "
            f"{_remedy()}"
        )


def _require_file_name(name: str | None, what: str, file: str | os.PathLike) -> None:
    if name is not None and not FILE_NAME.fullmatch(name):
        raise SettingsError(
            f"{file} has '{name}' as {what}, which becomes part of a file's name and must not lead to another folder. "
            f"{_remedy()}"
        )


def _remedy() -> str:
    return (
        f"Get the model again from its source; if you trust whoever made it, add {TRUST_FLAG} (for commands without "
        f"it, set the variable {TRUST_VARIABLE} to 1)."
    )
