"""Commands that train, predict, and pass models on."""
