"""Ctrl-C, and the signals of schedulers."""
