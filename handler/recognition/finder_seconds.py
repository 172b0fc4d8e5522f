"""What looking for products takes, by stage."""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass
class FinderSeconds:
    """Wall time of a batch's stages: dense pass and crops, local features as far as waited for, text, the rest."""

    network: float = 0.0
    print: float = 0.0
    text: float = 0.0
    match: float = 0.0

    def add(self, other: FinderSeconds) -> None:
        """Count in another batch's."""
        self.network += other.network
        self.print += other.print
        self.text += other.text
        self.match += other.match


class Clock:
    """Adds the time of a ``with`` block to one stage."""

    def __init__(self, seconds: FinderSeconds, stage: str) -> None:
        self._seconds = seconds
        self._stage = stage

    def __enter__(self) -> None:
        self._started = time.perf_counter()

    def __exit__(self, *error: object) -> None:
        spent = time.perf_counter() - self._started
        setattr(self._seconds, self._stage, getattr(self._seconds, self._stage) + spent)
