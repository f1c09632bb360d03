"""What every converter hands its cases to: checks, images, dataset.json, tables, the command line."""
