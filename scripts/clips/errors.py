"""The one error of making clips."""

from __future__ import annotations


class ClipError(Exception):
    """A clip that cannot be made of what was given. The message says what to do instead."""
