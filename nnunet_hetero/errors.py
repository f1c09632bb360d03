"""Errors with a message meant for the user; commands print them without a traceback and exit with 1."""


class HeteroError(Exception):
    """Base of all errors that the user can mend.

    Anything else that is raised is a defect of the package and keeps its traceback.
    """


class DataError(HeteroError):
    """Images, labels or dataset folders are not what they must be; names the case and the file."""


class SettingsError(HeteroError):
    """A flag, a setting in the plans or an environment variable is not what it must be."""
