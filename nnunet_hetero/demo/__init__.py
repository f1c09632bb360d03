"""The whole chain on a synthetic cohort."""
