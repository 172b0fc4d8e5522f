"""The one error of the evaluation: something it was given cannot be used."""

from __future__ import annotations


class EvaluationError(Exception):
    """What was given cannot be evaluated. The message names the file and, where there is one, the line."""
