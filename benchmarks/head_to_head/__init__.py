"""Parts of ``benchmarks/accuracy.py``: methods trained, measured and evaluated side by side."""
