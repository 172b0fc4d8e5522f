"""Reads the metrics address, for tests that compare figures before and after."""

import re

import requests

import torchserve_control as control

_LINE = re.compile(r"^(\w+)\{([^}]*)\} (\S+)$")


def samples(server: control.Server) -> dict[tuple[str, frozenset[str]], float]:
    """Every sample: (name, {'label="value"', …}) to its value, the host's name left out."""
    text = requests.get(f"{server.metrics_url}/metrics", headers=server.headers("management"), timeout=10).text
    found = {}
    for line in text.splitlines():
        match = _LINE.match(line)
        if match:
            labels = {part for part in match[2].split(",") if part and not part.lower().startswith("hostname=")}
            found[(match[1], frozenset(labels))] = float(match[3])
    return found


def total(found: dict[tuple[str, frozenset[str]], float], name: str, *labels: str) -> float:
    """Sum of the samples of ``name`` that carry all of ``labels``; 0.0 where there is none yet."""
    return sum(value for (known, carried), value in found.items() if known == name and carried.issuperset(labels))
