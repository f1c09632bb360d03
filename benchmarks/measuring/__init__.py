"""What the commands of ``benchmarks/`` share: what is measured, how, and on what."""
