"""``nnunet_hetero convert``: the converters, one sub-subcommand each, those of other packages among them."""

from __future__ import annotations

import argparse

from nnunet_hetero.cli.dispatch import Command, dispatch
from nnunet_hetero.errors import SettingsError
from nnunet_hetero.extensions import extensions, origin

PASS_THROUGH = True
HELP = "Write a data set as nnU-Net wants it, absent modalities as all-zero volumes."

CONVERTERS = {
    "brats": Command("nnunet_hetero.dataset_conversion.brats", "raw BraTS 2018 to 2021"),
    "brats2015": Command("nnunet_hetero.dataset_conversion.brats2015", "raw BraTS 2012-2013 and 2015 (.mha)"),
    "brats2023": Command(
        "nnunet_hetero.dataset_conversion.brats2023",
        "raw BraTS 2023 and 2024: glioma, meningioma, metastases, pediatric, Sub-Saharan Africa",
    ),
    "brasyn": Command("nnunet_hetero.dataset_conversion.brasyn", "raw BraSyn, where each case lacks one modality"),
    "msd": Command("nnunet_hetero.dataset_conversion.msd", "Task01_BrainTumour of the Medical Segmentation Decathlon"),
    "csv": Command("nnunet_hetero.dataset_conversion.csv_table", "any cohort that a CSV describes"),
    "bids": Command("nnunet_hetero.dataset_conversion.bids", "a BIDS folder, sub-*/[ses-*]/anat"),
    "phantom": Command(
        "nnunet_hetero.dataset_conversion.phantom", "a synthetic cohort in the raw BraTS layout, to try things out"
    ),
}


GROUP = "nnunet_hetero.converters"
"""Entry points that name a module each, which is built as those above."""


def converters() -> dict[str, Command]:
    """Every converter by its name, those of other packages last.

    Raises:
        SettingsError: If another package uses the name of one of ours.

    Examples:
        >>> list(converters())[:3]
        ['brats', 'brats2015', 'brats2023']
    """
    found = dict(CONVERTERS)
    for entry in extensions(GROUP):
        if entry.name in CONVERTERS:
            raise SettingsError(
                f"{origin(entry)} offers a converter '{entry.name}' ({GROUP}), but there is one of this name already. "
                "Uninstall it, or give its converter another name."
            )
        found[entry.name] = Command(entry.value, f"of {origin(entry)}", entry)
    return found


def run(args: argparse.Namespace) -> int:
    """Run the converter that the arguments name."""
    return dispatch("nnunet_hetero convert", HELP, converters(), args.arguments)
