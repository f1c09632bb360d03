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

NUMBERS = ("nnUNet_def_n_proc", "nnUNet_n_proc_DA", "nnUNet_npp", "nnUNet_nps")
"""nnU-Net's variables that are numbers of processes."""


def require_variables(*names: str) -> None:
    """Refuse to begin without the variables that a command needs.

    Args:
        names: Of `VARIABLES`.

    Raises:
        SettingsError: If one is not set, or is no path that nnU-Net understands as it is meant.
    """
    unset = [name for name in names if not os.environ.get(name)]
    if unset:
        folders = ", ".join(f"{name} (the folder of {VARIABLES[name]})" for name in unset)
        example = f"export {unset[0]}=/path/to/{unset[0]}"
        raise SettingsError(f"nnU-Net's environment variables are not set: {folders}. Set them, e.g. {example}")
    for name in names:
        problem = problem_with_folder(os.environ[name])
        if problem:
            raise SettingsError(f"The environment variable {name} is '{os.environ[name]}', which {problem}.")


def problem_with_folder(value: str) -> str | None:
    """What is wrong with the value of one of `VARIABLES`, in words that follow it; None if nothing is.

    nnU-Net takes a value as it is: no shell expands it, no blank is cut off. So it would look for, and make, another
    folder than the one that was meant.

    Examples:
        >>> problem_with_folder("~/nnUNet_raw")
        "begins with '~', and nnU-Net does not put your home folder for it; write the whole path"
    """
    if value.strip() != value:
        return "has blanks at its ends; take them out"
    if value[0] in "\"'" or value[-1] in "\"'":
        return "has quotation marks in it; take them out"
    if value.startswith("~"):
        return "begins with '~', and nnU-Net does not put your home folder for it; write the whole path"
    if "$" in value and not os.path.exists(value):
        return "has a '$' that no shell has replaced; write the whole path"
    if not os.path.isabs(value):
        return "is another folder in every working directory; write the whole path"
    if os.path.lexists(value) and not os.path.isdir(value):
        return "is no folder; set it to a folder"
    return None


def require_numbers() -> None:
    """Refuse values of nnU-Net's other variables on which it would end in a traceback when it is imported.

    Raises:
        SettingsError: If one is no whole number.
    """
    for name in NUMBERS:
        value = os.environ.get(name)
        if value is not None and not (value.strip().isascii() and value.strip().isdigit()):
            raise SettingsError(f"The environment variable {name} is '{value}'; it must be a whole number, 0 or more.")


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
    raw, preprocessed = (Path(os.environ[variable]) / name for variable in variables)
    return raw, preprocessed


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
