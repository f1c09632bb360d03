"""From the scanner to what a model takes, and back: which image is which, one grid, one orientation."""
