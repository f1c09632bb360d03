"""What a model's numbers are worth, measured on cases it has not seen: intervals of volumes, probabilities.

`run` puts it together: `collect` predicts each case from every subset of its modalities and keeps a record of it,
`fit` makes ``calibration.json`` of the records, and `report` shows them.
"""
