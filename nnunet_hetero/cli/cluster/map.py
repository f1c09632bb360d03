"""``nnunet_hetero map``: a command whose cases, or trainings, are done by the workers of a cluster."""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from nnunet_hetero.cli.cluster import mapped
from nnunet_hetero.errors import SettingsError
from nnunet_hetero.nnunet.arguments import whole_number

if TYPE_CHECKING:
    from distributed import Client

PASS_THROUGH = True

COMMANDS: dict[str, tuple[str, Callable[[Client, Sequence[str]], int]]] = {
    "predict": ("a job for each case", mapped.predict),
    "complete": ("a job for each case", mapped.complete),
    "evaluate": ("a job for each case, from all of its subsets", mapped.evaluate),
    "convert": ("a job for each case", mapped.convert),
    "intake": ("a job for each case", mapped.intake),
    "train": ("a job for each training: several folds, or several plans (-p A B C)", mapped.train),
}

HELP = """\
Do a command's cases, or trainings, on the workers of a cluster, by Dask (pip install 'nnunet_hetero[cluster]').

  nnunet_hetero map predict -i IN -o OUT -d 501 -c 3d_fullres --cluster slurm.yaml

Give the command with its own flags, and where to do it. A worker keeps its model loaded. A worker that dies costs the
case that it had, which another one does again; a case that three workers do not survive is left. Whatever stops the
command, the same command (predict and complete: with --continue_prediction) finishes what is left."""


def parser_of_cluster() -> argparse.ArgumentParser:
    """The flags that say where."""
    parser = argparse.ArgumentParser(
        prog="nnunet_hetero map",
        usage="nnunet_hetero map COMMAND ... [--cluster WHERE] [--workers N] [...]",
        description=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        add_help=False,
        allow_abbrev=False,
        epilog="commands:\n" + "\n".join(f"  {name:<9} {what}" for name, (what, _) in COMMANDS.items()),
    )
    parser.add_argument(
        "--cluster",
        default="local",
        metavar="WHERE",
        help="'local', processes of this machine; the address of Dask's scheduler, tls://HOST:PORT; or a YAML file for "
        "jobs of SLURM, LSF or PBS. Default: %(default)s",
    )
    parser.add_argument(
        "--workers",
        type=whole_number(1),
        metavar="N",
        help="Number of workers, with 'local' or a file. Default: one for each GPU of this machine, or the file's.",
    )
    parser.add_argument(
        "--cases_per_worker",
        type=whole_number(1),
        default=1,
        metavar="N",
        help="With 'local': cases that a worker has at a time, one on the device, others being read or written. "
        "Default: %(default)s",
    )
    parser.add_argument(
        "--tls",
        nargs=3,
        metavar=("CA", "CERTIFICATE", "KEY"),
        help="Files for a scheduler at tls://. Default: those of Dask's configuration.",
    )
    parser.add_argument(
        "--trust_network",
        action="store_true",
        help="Speak to a scheduler on another machine without TLS. Whoever reaches that network can run code.",
    )
    return parser


def run(args: argparse.Namespace) -> int:
    """Connect to the cluster, and do the command."""
    parser = parser_of_cluster()
    found, rest = parser.parse_known_args(args.arguments)
    name, own = (rest[0], rest[1:]) if rest else ("-h", [])
    if name in ("-h", "--help"):
        parser.print_help()
        return 0
    if name not in COMMANDS:
        raise SettingsError(f"map {name}: there is no such command; choose from {', '.join(COMMANDS)}.")
    if importlib.util.find_spec("distributed") is None or importlib.util.find_spec("dask_jobqueue") is None:
        raise SettingsError(
            "'nnunet_hetero map' needs Dask. Install it: pip install 'nnunet_hetero[cluster]'. Without it, "
            "'nnunet_hetero submit' writes job arrays."
        )
    from nnunet_hetero.cluster.connection import ClusterRequest, connected

    tls = None if found.tls is None else tuple(found.tls)
    models = name in ("predict", "complete", "evaluate")
    request = ClusterRequest(found.cluster, found.workers, found.cases_per_worker, tls, found.trust_network, models)
    with connected(request) as client:
        return COMMANDS[name][1](client, own)
