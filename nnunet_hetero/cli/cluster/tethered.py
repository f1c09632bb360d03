"""``python -m nnunet_hetero.cli.cluster.tethered COMMAND ...``: a command that ends when its parent does.

The parent keeps a pipe to our standard input. When it ends, even by SIGKILL, the pipe is closed. Otherwise a worker
that was killed would leave its training behind, and another worker would begin the same one.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

from nnunet_hetero.cli.main import main

SECONDS_TO_END = 120
"""For a training to write its checkpoint."""


def watch_parent() -> None:
    """End this process when standard input is closed, at first politely."""
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(SECONDS_TO_END)
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=watch_parent, daemon=True).start()
    sys.exit(main())
