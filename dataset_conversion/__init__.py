"""Converters from raw cohorts to nnU-Net datasets; installed as nnunet_hetero.dataset_conversion."""
