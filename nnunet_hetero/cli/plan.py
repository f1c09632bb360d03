"""``nnunet_hetero plan``: plans with other settings, derived from nnU-Net's."""

from __future__ import annotations

import argparse

from nnunet_hetero.errors import SettingsError

HELP = """Write plans with settings of your choice, e.g. another draw of subsets in training.

The new plans are a copy of those that nnUNetv2_plan_and_preprocess wrote (-p), under another name (--out_plans), with
the settings under 'hetero_modal' changed. They share the preprocessed data: there is nothing to preprocess again. All
settings are checked, and the probability of each subset is shown, before anything is written."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags; those that nnU-Net has mean the same as there."""
    parser.add_argument("-d", required=True, help="Dataset name or ID.")
    parser.add_argument(
        "-c", nargs="+", metavar="CONFIGURATION", help="Configurations to change. Default: all but cascades."
    )
    parser.add_argument("-p", default="nnUNetPlans", help="Plans to start from. Default: %(default)s")
    parser.add_argument("--out_plans", required=True, metavar="NAME", help="Name of the new plans, for -p in training.")
    parser.add_argument(
        "--alpha",
        metavar="paper|cohort|FILE",
        help="Draw of subsets in training: that of the paper; the training cases' own frequencies; or a CSV file with "
        "the columns 'subset' (e.g. T1+FLAIR) and 'weight'.",
    )
    parser.add_argument(
        "--presence",
        nargs="+",
        metavar="MODALITY=P",
        help="Instead: each modality is drawn with its own probability, independent of the others, e.g. T1=0.5.",
    )
    parser.add_argument(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="KEY=VALUE",
        help="Any other setting, e.g. num_epochs=250 balance_modalities=true; values as in JSON.",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="Replace plans of that name, if this command wrote them."
    )


def run(args: argparse.Namespace) -> int:
    """Write the plans."""
    # Late, so that -h answers at once.
    from nnunet_hetero.planning.derive import derive_settings

    if args.alpha is None and args.presence is None and not args.set:
        raise SettingsError("There is nothing to change: give --alpha, --presence or --set.")
    derived = derive_settings(
        args.d, args.p, args.out_plans, args.c, args.alpha, args.presence, args.set, args.overwrite
    )
    print(derived.description)
    print(f"\nWritten to {derived.file}")
    print(f"Train with: nnunet_hetero train {args.d} {'|'.join(derived.configurations)} FOLD -p {args.out_plans}")
    return 0
