"""Results back on the grids of the images that they were made from."""
