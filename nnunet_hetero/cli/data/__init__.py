"""Commands that make data sets, splits and plans."""
