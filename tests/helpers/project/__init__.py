"""The repository itself: its modules, its pages, its installation, packages beside it."""
