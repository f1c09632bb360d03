"""Networks of other publications, inside the plans of nnU-Net, to compare with."""
