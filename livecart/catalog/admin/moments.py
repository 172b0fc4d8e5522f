"""Times as staff read them."""

from __future__ import annotations

from datetime import UTC, datetime

from starlette_admin.i18n import get_tzinfo


def moment(at_s: float | None) -> str:
    """UNIX time in the browser's time zone, to the second; "–" for none."""
    if at_s is None:
        return "–"
    return datetime.fromtimestamp(at_s, UTC).astimezone(get_tzinfo()).strftime("%Y-%m-%d %H:%M:%S")
