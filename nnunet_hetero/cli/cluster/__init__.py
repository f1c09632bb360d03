"""Commands that spread work over machines."""
