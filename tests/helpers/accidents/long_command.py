"""A command that takes long and ends in words when it is asked to, for those who stop others."""

from __future__ import annotations

LONG = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended in words"))
print("begun")
time.sleep(600)
"""
"""For ``python -c``; it says that it has begun."""

LAST_WORDS = "begun\nended in words\n"
"""What it has said, then."""
