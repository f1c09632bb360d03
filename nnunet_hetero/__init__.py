"""nnunet_hetero: hetero-modal segmentation (U-HVED) inside nnU-Net v2."""

__version__ = "0.1.0"
