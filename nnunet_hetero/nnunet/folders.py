"""nnU-Net's variables and the folders that they name, with errors that tell the user what to do."""

from __future__ import annotations

import os
from pathlib import Path

from nnunet_hetero.errors import SettingsError

VARIABLES = {
    "nnUNet_raw": "the raw data sets",
    "nnUNet_preprocessed": "the preprocessed data sets",
    "nnUNet_results": "the trained models",
}


def require_variables(*names: str) -> None:
    """Refuse to begin without the variables that a command needs.

    Args:
        names: Of `VARIABLES`.

    Raises:
        SettingsError: If one is not set.
    """
    unset = [name for name in names if not os.environ.get(name)]
    if unset:
        folders = ", ".join(f"{name} (the folder of {VARIABLES[name]})" for name in unset)
        example = f"export {unset[0]}=/path/to/{unset[0]}"
        raise SettingsError(f"nnU-Net's environment variables are not set: {folders}. Set them, e.g. {example}")


def dataset_folders(dataset: str) -> tuple[Path, Path]:
    """Folders of a data set in ``nnUNet_raw`` and ``nnUNet_preprocessed``; whether they are there remains to be seen.

    Args:
        dataset: Name or ID.

    Raises:
        SettingsError: If a variable is not set, or no data set has that ID, or several have.
    """
    variables = ("nnUNet_raw", "nnUNet_preprocessed")
    require_variables(*variables)
    name = _dataset_name(dataset)
    return tuple(Path(os.environ[variable]) / name for variable in variables)


def plans_file(dataset: str, plans: str) -> Path:
    """File of the plans that a training follows; whether it is there remains to be seen.

    Args:
        dataset: Name or ID.
        plans: Identifier of the plans.

    Raises:
        SettingsError: If ``nnUNet_preprocessed`` is not set, or no data set has that ID, or several have.
    """
    variable = "nnUNet_preprocessed"
    require_variables(variable)
    return Path(os.environ[variable]) / _dataset_name(dataset) / f"{plans}.json"


def _dataset_name(dataset: str) -> str:
    from nnunetv2.utilities.dataset_name_id_conversion import maybe_convert_to_dataset_name

    try:
        return str(maybe_convert_to_dataset_name(dataset))
    except (RuntimeError, ValueError) as error:
        raise SettingsError(str(error)) from error


def model_folder(dataset: str, trainer: str, plans: str, configuration: str) -> str:
    """Folder of a trained model; whether it is there remains to be seen.

    Args:
        dataset: Name or ID.
        trainer: Name of the trainer.
        plans: Identifier of the plans.
        configuration: E.g. ``3d_fullres``.

    Raises:
        SettingsError: If ``nnUNet_results`` is not set, or no data set has that ID.
    """
    require_variables("nnUNet_results")
    from nnunetv2.utilities.file_path_utilities import get_output_folder

    try:
        return get_output_folder(dataset, trainer, plans, configuration)
    except (RuntimeError, ValueError) as error:  # nnU-Net's, for an ID that no data set or several have
        raise SettingsError(str(error)) from error
