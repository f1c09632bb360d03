"""``nnunet_hetero plan-subsets``: plans for one network per subset of the modalities."""

from __future__ import annotations

import argparse

HELP = """\
Write plans for one network per subset of the modalities, for SubsetTrainer: PLANS_T1, PLANS_T1_T1c, and so on. They
share the preprocessed data of the plans that they come from, so nothing is preprocessed again.

Prints the names, one per line, for a loop:
  for plans in $(nnunet_hetero plan-subsets -d 501); do
    nnUNetv2_train 501 3d_fullres 0 -tr SubsetTrainer -p $plans
  done"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags; those that nnU-Net has mean the same as there."""
    parser.add_argument("-d", required=True, help="Dataset name or ID.")
    parser.add_argument("-p", default="nnUNetPlans", metavar="PLANS", help="Plans to start from. Default: %(default)s")
    parser.add_argument(
        "-c", nargs="+", metavar="CONFIGURATION", help="Configurations that get the subset. Default: all but cascades."
    )
    parser.add_argument(
        "--subsets", nargs="+", metavar="SUBSET", help='Subsets by name, e.g. "T1+FLAIR" T1c. Default: all.'
    )
    parser.add_argument("--overwrite", action="store_true", help="Replace plans of the same name with other content.")


def run(args: argparse.Namespace) -> int:
    """Write the plans and print their names."""
    # Late, so that -h answers at once.
    from nnunet_hetero.modalities import Modalities, parse_subsets
    from nnunet_hetero.nnunet.folders import dataset_folders
    from nnunet_hetero.planning.plans_file import read_dataset_json, read_plans, trainable_configurations, write_plans
    from nnunet_hetero.planning.subset_plans import subset_plans

    folder = dataset_folders(args.d)[1]
    plans = read_plans(folder, args.p)
    modalities = Modalities.from_dataset_json(read_dataset_json(folder))
    configurations = trainable_configurations(plans, args.c)
    for subset in parse_subsets(modalities, args.subsets):
        new = subset_plans(plans, modalities, subset, configurations)
        print(write_plans(folder, new, args.overwrite).stem)
    return 0
