"""What is done to the images of a case: grids, resampling, masks, bias fields, and label maps on their way back."""
