"""The one error of this package, and how others' become it."""


class VigilError(Exception):
    """What went wrong and what to do about it, in one line."""


def line(error: BaseException) -> str:
    """What another library said, as one line."""
    return " ".join(str(error).split()) or type(error).__name__
