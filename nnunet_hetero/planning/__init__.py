"""Plans for our trainers, derived from those that nnU-Net wrote."""
