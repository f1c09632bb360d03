"""A cluster to work on: processes of this machine, jobs of a batch system, or a scheduler that runs elsewhere.

Whoever reaches Dask's scheduler or a worker can run code there: messages are pickles. So ours speak TLS with a
certificate made for this run, on this machine too, where others may be logged in; and a scheduler elsewhere is only
spoken to by TLS, unless the user vouches for the network.
"""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dask
from distributed import Client, Nanny, Scheduler, SpecCluster, Status
from distributed.security import Security

from nnunet_hetero.cluster.batch_cluster import batch_cluster
from nnunet_hetero.cluster.certificate import new_certificate
from nnunet_hetero.cluster.resources import read_resources
from nnunet_hetero.errors import SettingsError
from nnunet_hetero.io.stopping.handlers import unheard_interrupts

LOCAL = "local"
LOOPBACK = "127.0.0.1"
SECONDS_TO_ANSWER = 10
SECONDS_TO_REPLACE = 5

PRELOAD = "nnunet_hetero.cluster.worker_model"
"""Module that takes seconds to import: a worker that dies meanwhile has no case yet that its death counts against."""

SETTINGS = {
    "distributed.scheduler.allowed-failures": 0,  # deaths are counted, and forgiven, by `FanOut`
    "distributed.scheduler.worker-ttl": None,  # a worker that is busy is not lost; one that is dead hangs up
    "distributed.scheduler.worker-saturation": 1.0,  # a worker has what it works on, and no queue that dies with it
}


@dataclass(frozen=True)
class ClusterRequest:
    """Where work goes.

    Args:
        where: `LOCAL`, the address of a scheduler, or a file for a batch system, see `read_resources`.
        workers: Processes on this machine; None is one for each GPU, at least one.
        cases_per_worker: Cases that each of them has at a time.
        tls: Files of the certificate authority, of our certificate and of its key, for a scheduler elsewhere; None are
            those of Dask's own configuration.
        trust_network: Whether to speak to a scheduler elsewhere without TLS.
        loads_models: Whether new workers import what a model needs before they take work, see `PRELOAD`.
    """

    where: str = LOCAL
    workers: int | None = None
    cases_per_worker: int = 1
    tls: tuple[str, str, str] | None = None
    trust_network: bool = False
    loads_models: bool = False


@contextlib.contextmanager
def connected(request: ClusterRequest) -> Iterator[Client]:
    """A client of the cluster; what was started for it ends with it.

    Raises:
        SettingsError: If the cluster cannot be reached or must not be trusted, or the file is not what it must be.
    """
    over = False
    try:
        with _client(request) as client:
            print(f"Dashboard: {client.dashboard_link}", flush=True)
            yield client
            over = True
    except TimeoutError:
        if not over:
            raise
        # All is done. Workers that are too busy to take their leave end with this process.


@contextlib.contextmanager
def _client(request: ClusterRequest) -> Iterator[Client]:
    with dask.config.set(SETTINGS), contextlib.ExitStack() as stack:
        if "://" in request.where:
            client = stack.enter_context(_client_of_address(request))
        elif request.where == LOCAL:
            # Ctrl-C is for this process, which ends the others; a worker that heard it would only die noisily.
            with unheard_interrupts():
                cluster, workers = _local_cluster(request)
                client = stack.enter_context(Client(stack.enter_context(cluster)))
                cluster.worker_spec.update(workers)
                cluster.scale(len(workers))  # not waited for: one that is killed as it starts is replaced
            stack.enter_context(_replacing_lost_workers(cluster, len(workers)))
        elif request.where.lower().endswith((".yaml", ".yml")):
            resources = read_resources(Path(request.where))
            if request.workers is not None:
                resources = replace(resources, workers=request.workers)
            cluster = batch_cluster(resources, (PRELOAD,) if request.loads_models else ())
            client = stack.enter_context(Client(stack.enter_context(cluster)))
            stack.enter_context(_replacing_lost_workers(cluster, resources.workers))
        else:
            raise SettingsError(
                f"--cluster {request.where}: choose '{LOCAL}', the address of a scheduler such as tls://HOST:8786, or "
                "a file such as slurm.yaml."
            )
        yield client


@contextlib.contextmanager
def _replacing_lost_workers(cluster: SpecCluster, number: int) -> Iterator[None]:
    """Keep as many workers as there should be.

    A process that is killed is started again by what watches over it, its nanny. But one that is killed while it
    starts, or starts slowly, is given up, and so is a job that has ended.
    """
    over = threading.Event()
    loop: Any = cluster.loop  # there while the cluster is

    def renew() -> None:
        for name, worker in list(cluster.workers.items()):
            if worker.status in (Status.failed, Status.closed):
                del cluster.workers[name]
        cluster.scale(number)  # starts those that it has lost

    def watch() -> None:
        while not over.wait(SECONDS_TO_REPLACE):
            loop.add_callback(renew)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _local_cluster(request: ClusterRequest) -> tuple[SpecCluster, dict[Any, Any]]:
    """A cluster that has no workers yet, and those that it is to have."""
    gpus = _number_of_gpus()
    number = request.workers or max(1, gpus)
    security = new_certificate()
    common: dict[str, Any] = {"host": LOOPBACK, "protocol": "tls://", "security": security}
    threads = os.environ.get("OMP_NUM_THREADS") or str(max(1, (os.cpu_count() or 1) // number))
    workers = {}
    for place in range(number):
        # Before the process loads torch; Dask's own default is one thread.
        before = {name: threads for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
        if gpus and "CUDA_VISIBLE_DEVICES" not in os.environ:
            before["CUDA_VISIBLE_DEVICES"] = str(place % gpus)
        options = {
            "nthreads": request.cases_per_worker,
            "memory_limit": 0,  # of what a case needs, Dask can spill nothing
            "dashboard": False,
            "preload": [PRELOAD] if request.loads_models else [],
            "silence_logs": logging.CRITICAL,
            "config": {**SETTINGS, "distributed.nanny.pre-spawn-environ": before},
        }
        workers[place] = {"cls": Nanny, "options": {**common, **options}}
    dashboard = {"dashboard": True, "dashboard_address": f"{LOOPBACK}:0"}
    scheduler = {"cls": Scheduler, "options": {**common, **dashboard}}
    return SpecCluster({}, scheduler, security=security, name="nnunet_hetero", silence_logs="CRITICAL"), workers


def _number_of_gpus() -> int:
    import torch

    return torch.cuda.device_count()


def _client_of_address(request: ClusterRequest) -> Client:
    address = request.where
    security = Security()
    if request.tls is not None:
        authority, certificate, key = (os.path.abspath(file) for file in request.tls)
        for file in (authority, certificate, key):
            if not os.path.isfile(file):
                raise SettingsError(f"{file} is not there. --tls takes the files CA CERTIFICATE KEY.")
        security = Security(
            require_encryption=True, tls_ca_file=authority, tls_client_cert=certificate, tls_client_key=key
        )
    _require_trusted(address, request.trust_network)
    try:
        return Client(address, security=security, timeout=SECONDS_TO_ANSWER)
    except (OSError, ValueError, RuntimeError, TypeError) as error:
        raise SettingsError(
            f"--cluster {address}: no scheduler answers there ({error or type(error).__name__}). Check the address, "
            "that 'dask scheduler' runs there, and for tls:// the certificate (--tls CA CERTIFICATE KEY)."
        ) from error


def _require_trusted(address: str, trust_network: bool) -> None:
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
    except ValueError as error:
        raise SettingsError(f"--cluster {address}: this is no address ({error}).") from error
    if parts.scheme not in ("tcp", "tls"):
        raise SettingsError(f"--cluster {address}: an address begins with tls:// or tcp://.")
    if parts.scheme == "tls" or trust_network or _is_this_machine(host):
        return
    raise SettingsError(
        f"--cluster {address}: without TLS, whoever can reach the network can run code on the workers and here. Start "
        "the scheduler with a certificate and give tls://..., or, on a network that only you can reach, add "
        "--trust_network."
    )


def _is_this_machine(host: str) -> bool:
    try:
        found = socket.getaddrinfo(host, None)
    except (OSError, UnicodeError):
        return False  # whoever connects says so
    return all(ipaddress.ip_address(str(entry[4][0]).partition("%")[0]).is_loopback for entry in found)
