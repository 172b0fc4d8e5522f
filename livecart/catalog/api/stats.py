"""What the API counts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class ApiStats:
    """Counted since the start. `refused` by code: denied, forbidden, rate_limited, too_large, busy, ..."""

    answered: int = 0
    replayed: int = 0
    failures: int = 0
    refused: Counter[str] = field(default_factory=Counter)
