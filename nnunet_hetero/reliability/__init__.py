"""Numbers to rely on: what ``calibration.json`` holds, and the formulas that turn it into intervals and probabilities.

Arrays and files only, no network: made by `nnunet_hetero.calibration`, read by `nnunet_hetero.inference`.
"""
