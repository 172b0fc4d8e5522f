"""The one error of making clips."""


class ClipError(Exception):
    """A clip that cannot be made of what was given. The message says what to do instead."""
