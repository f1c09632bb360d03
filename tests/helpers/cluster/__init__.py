"""A batch system of this machine, and jobs for it."""
