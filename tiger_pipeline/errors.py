"""Errors that a user can cause and can mend.

Every message names the file, the row or the field at fault and says what to do about it.
"""


class TigerError(Exception):
    """Base of all errors that tell the user what to change."""


class InputError(TigerError):
    """Input data (a source file, an embedding, a history) that breaks its contract."""


class ConfigurationError(TigerError):
    """A setting that is unknown, out of range, or contradicts another one."""


class ArtifactError(TigerError):
    """An artifact that is missing, unreadable, or could not be written."""


class ArtifactMismatchError(ArtifactError):
    """An artifact that was made from other inputs than the ones it is used with."""
