"""The process group of a training: joined at its begin, left at its end; and the device of each process."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator

import torch
from torch import distributed
from torch.distributed.distributed_c10d import default_pg_timeout
from torch.distributed.rendezvous import rendezvous

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.nnunet.ranks import Ranks
from nnunet_hetero.training.distributed.launch import COMMAND, Launch, was_started_by_torchrun
from nnunet_hetero.training.distributed.meeting import store_of_attempt


@contextlib.contextmanager
def joined(launch: Launch, device: str) -> Iterator[Ranks]:
    """Within, this process is one of a group; torch exchanges tensors by NCCL between GPUs, by Gloo between CPUs.

    Args:
        launch: Which it is.
        device: ``cuda`` or ``cpu``.

    Raises:
        SettingsError: If there is no device for it, or the others cannot be reached.
    """
    if device not in ("cuda", "cpu"):
        raise SettingsError(f"-device {device}: several processes train together on cuda or cpu only.")
    _require_known(launch.address)
    launch.export()
    if device == "cuda":
        torch.cuda.set_device(_gpu(launch.local_rank))
    try:
        shared, rank, count = next(iter(rendezvous("env://")))
        store = store_of_attempt(shared, rank, count, default_pg_timeout)
        backend = "nccl" if device == "cuda" else "gloo"
        distributed.init_process_group(backend, store=store, rank=rank, world_size=count)
    except (RuntimeError, ValueError) as error:
        raise SettingsError(
            f"Rank {launch.rank} cannot join the {launch.count} processes at {launch.address}:{launch.port}: {error}. "
            "Is MASTER_ADDR the first node as the others know it, the port free, and no firewall between them? "
            "NCCL_SOCKET_IFNAME and GLOO_SOCKET_IFNAME name the network interface."
        ) from error
    try:
        yield Ranks.of_this_process()
    except SystemExit:  # all leave together; after an error the others may not be there any more, to say goodbye to
        distributed.destroy_process_group()
        raise
    distributed.destroy_process_group()


def device_of_rank(asked: torch.device, ranks: Ranks) -> torch.device:
    """Where a rank trains.

    Args:
        asked: By the user, as nnU-Net hands it on; it knows no others than GPUs for several processes.
        ranks: All processes.
    """
    if asked.type != "cuda" or not torch.cuda.is_available():
        return asked
    variables = {name: os.environ.get(name) for name in ("RANK", "WORLD_SIZE")}
    launched = variables == {"RANK": str(ranks.number), "WORLD_SIZE": str(ranks.count)}
    # Processes that nnU-Net starts itself (-num_gpus) are all on one node.
    return torch.device("cuda", _gpu(int(os.environ["LOCAL_RANK"])) if launched else ranks.number)


def share_cores(ranks: Ranks) -> None:
    """Let the processes of a node share its cores; nnU-Net's command gives all of them to each."""
    here = int(os.environ.get("LOCAL_WORLD_SIZE", ranks.count))
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // here))


def refuse_strangers() -> None:
    """Refuse to train alone where a launcher has started several processes that should train together.

    Raises:
        SettingsError: If so, with the command that joins them.
    """
    if distributed.is_available() and distributed.is_initialized():
        return
    launch = Launch.of_environment()
    if launch is not None:
        raise SettingsError(
            f"This process is number {launch.rank} of {launch.count} that were started together, and nnUNetv2_train "
            f"does not join them: {launch.count} trainings would write into one folder. Run: {COMMAND}"
        )


def _require_known(address: str) -> None:
    """Torch would go on looking until the timeout of process groups, many minutes."""
    try:
        socket.getaddrinfo(address, None)
    except (OSError, UnicodeError) as error:
        raise SettingsError(
            f"MASTER_ADDR is '{address}', and {socket.gethostname()} finds no host of that name ({error}). Give the "
            "name, or the address, that the first node has for all others."
        ) from error


def _gpu(local_rank: int) -> int:
    count = torch.cuda.device_count()
    if count == 1 and not was_started_by_torchrun():  # of several on the node, srun shows each process its own
        return 0
    if local_rank >= count:
        raise SettingsError(
            f"This process is number {local_rank} on its node, counted from 0, and torch sees {count} GPU(s). Start as "
            "many processes per node as there are GPUs."
        )
    return local_rank
