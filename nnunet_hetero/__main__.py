"""``python -m nnunet_hetero``: the command, for launchers that start a module, such as torchrun."""

from __future__ import annotations

import sys

from nnunet_hetero.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
