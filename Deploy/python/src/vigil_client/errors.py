"""The one error of this package."""


class VigilError(Exception):
    """What went wrong and what to do about it, in one line."""
