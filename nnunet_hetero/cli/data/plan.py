"""``nnunet_hetero plan``: plans with other settings, derived from nnU-Net's."""

from __future__ import annotations

import argparse

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.network.widths import AUTO, CAPACITIES
from nnunet_hetero.nnunet.environment import DEFAULT_TRAINER

HELP = """Write plans for our network, or plans with settings of your choice.

Without further flags, or with --capacity or -gpu_memory_target: widths, patch and batch size are planned as nnU-Net
does, with our network's need of memory. With --alpha, --presence or --set alone, widths, patch and batch stay.

The new plans are a copy of those that nnUNetv2_plan_and_preprocess wrote (-p), under another name (--out_plans). They
share the preprocessed data: there is nothing to preprocess again. All settings are checked, and what was chosen is
shown, before anything is written."""

OUT_PLANS = "nnUNetHeteroPlans"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags; those that nnU-Net has mean the same as there."""
    parser.add_argument("-d", required=True, help="Dataset name or ID.")
    parser.add_argument(
        "-c", nargs="+", metavar="CONFIGURATION", help="Configurations to change. Default: all but cascades."
    )
    parser.add_argument("-p", default="nnUNetPlans", help="Plans to start from. Default: %(default)s")
    parser.add_argument(
        "-tr",
        default=DEFAULT_TRAINER,
        help="Trainer whose network widths, patch and batch are for. Default: %(default)s",
    )
    parser.add_argument(
        "--out_plans",
        metavar="NAME",
        help=f"Name of the new plans, for -p in training. Where widths, patch and batch are planned: {OUT_PLANS}",
    )
    parser.add_argument(
        "-gpu_memory_target",
        type=float,
        metavar="GB",
        help="Memory that a training step may take. Default: that of nnU-Net's planner, 8 for its default.",
    )
    parser.add_argument(
        "--capacity",
        choices=CAPACITIES,
        help="Widths of encoders, latents and decoders: the default's, half or twice of them, or the paper's; auto: "
        "the default's or the narrow ones, so that nnU-Net's patch fits into memory. Default: auto",
    )
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


def of_settings_alone(args: argparse.Namespace) -> bool:
    """Whether widths, patch and batch stay as they are.

    Args:
        args: As parsed.

    Raises:
        SettingsError: If these flags are no request by themselves.
    """
    settings_alone = (
        args.capacity is None
        and args.gpu_memory_target is None
        and bool(args.alpha is not None or args.presence is not None or args.set)
    )
    if settings_alone and args.out_plans is None:
        raise SettingsError(
            "Name the new plans with --out_plans, e.g. --out_plans nnUNetPlansMine; train then takes them with -p "
            "nnUNetPlansMine."
        )
    if args.gpu_memory_target is not None and not args.gpu_memory_target > 0:
        raise SettingsError(f"-gpu_memory_target is {args.gpu_memory_target:g}; it must be above 0, in GB.")
    return settings_alone


def run(args: argparse.Namespace) -> int:
    """Write the plans."""
    # Late, so that -h answers at once.
    from nnunet_hetero.planning.derive import derive_settings

    settings_alone = of_settings_alone(args)
    derived = derive_settings(
        args.d,
        args.p,
        OUT_PLANS if args.out_plans is None else args.out_plans,
        args.c,
        args.alpha,
        args.presence,
        args.set,
        None if settings_alone else args.capacity or AUTO,
        args.gpu_memory_target,
        args.overwrite,
        args.tr,
    )
    print(derived.description)
    print(f"\nWritten to {derived.file}")
    name = derived.file.stem
    trainer = "" if args.tr == DEFAULT_TRAINER else f" -tr {args.tr}"
    print(f"Train with: nnunet_hetero train {args.d} {'|'.join(derived.configurations)} FOLD -p {name}{trainer}")
    return 0
