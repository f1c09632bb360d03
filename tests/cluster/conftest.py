"""A cluster of two processes, shared by the tests of this room."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def client():
    """Two workers; a worker that is killed is replaced."""
    from nnunet_hetero.cluster.connection import ClusterRequest, connected

    with connected(ClusterRequest(workers=2)) as client:
        client.wait_for_workers(2)
        yield client
