"""Writes what docs/ tell of settings and metrics, from the code: `make docs`; with --check, says which page differs.

A table stands between `<!-- generated: settings gate -->`, `metrics livecart_hub_` or `streams matrix`, and
`<!-- /generated -->`.
Those of docs/tables.md hold the examples that tests try.
docs/schema/ and the viewer's contract.ts are made from contract/ (contract_schema.py).
A setting's text is the comment `#:` above it, its bounds are its class's BOUNDS; a metric's text is Prometheus's HELP.
"""

import argparse
import ast
import asyncio
import functools
import inspect
import json
import logging
import re
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import MISSING, asdict, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec
from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from contract_schema import contract_files
from livecart.core.settings import RoomSettings
from livecart.events.base import BusStats
from livecart.live.enrich.crops import CropCache
from livecart.live.metrics import LiveMetrics
from livecart.server.rooms_file import SECTIONS, read_rooms_file
from livecart.server.shop import run_catalog
from livecart.shop.import_export.columns import TITLES
from livecart.shop.settings import ApiSettings, CatalogSettings, Keep
from livecart.web.hub.metrics import HubMetrics
from tests.live.video import stream_matrix
from tests.shop.written_values import NUMBER_CELLS, WRITTEN

DOCS = Path(__file__).resolve().parents[1] / "docs"
_TABLE = re.compile(r"(<!-- generated: (\w+) (\S+) -->\n).*?(<!-- /generated -->)", re.DOTALL)
_KINDS = SECTIONS | {
    "rooms": RoomSettings,
    "catalog": CatalogSettings,
    "catalog.keep": Keep,
    "catalog.api": ApiSettings,
}


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status: 1 where `--check` found a page that differs."""
    parser = argparse.ArgumentParser(description=inspect.cleandoc(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a page differs")
    check = parser.parse_args(arguments).check
    pages = {page: with_tables(page.read_text(encoding="utf-8")) for page in DOCS.glob("*.md")}
    status = 0
    for path, text in sorted((pages | contract_files()).items()):
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        if check:
            print(f"{path}: differs from the code; `make docs` writes it anew", file=sys.stderr)
            status = 1
        else:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return status


def with_tables(text: str) -> str:
    """The page with each of its tables as the code has it."""
    tables: dict[str, Callable[[str], str]] = {
        "settings": settings_table,
        "metrics": metrics_table,
        "streams": streams_table,
        "written": written_table,
        "titles": titles_table,
    }
    return _TABLE.sub(lambda match: f"{match[1]}{tables[match[2]](match[3])}\n{match[4]}", text)


def settings_table(section: str) -> str:
    """The keys of a section of rooms.toml, in the order of the class."""
    kind = _KINDS[section]
    texts, hints = _comments(kind), get_type_hints(kind)
    rows = [
        (f"`{name}`", _default(name, default), _allowed(kind, name, hints[name]), texts.get(name, ""))
        for name, default in _defaults(section, kind)
        # Tables of their own.
        if not isinstance(default, msgspec.Struct) and (section, name) != ("catalog", "feeds")
    ]
    return _table(("key", "default", "allowed", "meaning"), rows)


def metrics_table(prefix: str) -> str:
    """The metrics whose names begin so, in the order in which they are registered."""
    rows = [row for row in _metrics() if row[0].startswith(f"`{prefix}")]
    return _table(("metric", "meaning"), rows)


def streams_table(name: str) -> str:
    """Streams that the tests have read."""
    return _table(*stream_matrix.table(name))


def written_table(field: str) -> str:
    """Values of a field as people write them, and what is taken; `numbers`: of a workbook, by their formats."""
    if field == "numbers":
        numbers = [(name, repr(number), f"`{form}`", _taken(taken)) for name, number, form, taken in NUMBER_CELLS]
        return _table(("field", "number", "format", "taken"), numbers)
    return _table(("written", "taken"), [(_visible(given), _taken(taken)) for given, taken in WRITTEN[field]])


def titles_table(_: str) -> str:
    """Titles of columns by field, those that count only where none stands before apart."""
    rows = []
    for name, (first, *others) in TITLES.items():
        if name != "sku_text":
            rows.append((f"`{name}`", " ".join([name, first]).strip(), " ".join(others)))
    return _table(("field", "titles", "where none of these stands"), rows)


def _visible(given: object) -> str:
    if not isinstance(given, str):
        return f"{given} (JSON)".replace("False", "false")
    if not given:
        return "(empty)"
    shown = "".join(each if each.isprintable() and each != "\ufffd" else _escape(each) for each in given)
    return "`` " + shown.replace("|", "\\|") + " ``"


def _escape(character: str) -> str:
    return {"\n": "⏎", "\t": "⇥"}.get(character, f"\\u{ord(character):04x}")


def _taken(taken: str) -> str:
    return f"refused: `{taken[1:-1]}`" if taken.startswith("[") else f"`` {taken} ``" if taken else ""


def _defaults(section: str, kind: type) -> Iterator[tuple[str, object]]:
    if section in SECTIONS:
        # As a file without the section has it.
        instance = getattr(_empty_file(), section)
        yield from ((name, getattr(instance, name)) for name in _names(kind))
    else:
        for field in msgspec.structs.fields(kind):
            yield field.name, field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()


def _names(kind: type) -> list[str]:
    return [field.name for field in (fields(kind) if is_dataclass(kind) else msgspec.structs.fields(kind))]


def _empty_file() -> Any:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rooms.toml"
        path.touch()
        return read_rooms_file(path, {})


def _default(name: str, value: object) -> str:
    if value in (MISSING, msgspec.NODEFAULT):
        return "required"
    if value is None:
        return ""
    return f"`{json.dumps(value, ensure_ascii=False)}`"


def _allowed(kind: type, name: str, hint: object) -> str:
    bounds = getattr(kind, "BOUNDS", {})
    if name in bounds:
        lowest, highest = bounds[name]
        return f"{lowest:,g} to {highest:,g}" if highest < 1e6 else f"{lowest:,} to {highest:,}"
    for part in (hint, *get_args(hint)):
        if get_origin(part) is Literal:
            return ", ".join(f"`{choice}`" for choice in get_args(part))
    return ""


def _comments(kind: type) -> dict[str, str]:
    """The comment `#:` above each field of a class and of those it derives from."""
    texts: dict[str, str] = {}
    for owner in reversed([each for each in kind.__mro__ if each.__module__.startswith("livecart")]):
        source = textwrap.dedent(inspect.getsource(owner))
        lines, [tree] = source.splitlines(), ast.parse(source).body
        for node in tree.body if isinstance(tree, ast.ClassDef) else ():
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                texts[node.target.id] = _comment_above(lines, node.lineno - 1)
    return texts


def _comment_above(lines: list[str], index: int) -> str:
    said: list[str] = []
    while index and lines[index - 1].strip().startswith("#:"):
        index -= 1
        said.insert(0, lines[index].strip().removeprefix("#:").strip())
    return " ".join(said)


@functools.cache
def _metrics() -> list[tuple[str, str]]:
    live = LiveMetrics()
    live.watch_rooms(lambda: ())
    live.watch_bus(lambda: asdict(BusStats()))
    HubMetrics(live.registry, print)
    return asyncio.run(_with_catalog(live))


async def _with_catalog(live: LiveMetrics) -> list[tuple[str, str]]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rooms.toml"
        place = f'url = "sqlite:///{folder}/catalog.db"\nfolder = "{folder}/catalog"'
        path.write_text(
            f'[catalog]\n{place}\nbuild_command = ["false", "{{folder}}", "{{output}}"]\n', encoding="utf-8"
        )
        # The builder that builds nothing is no news.
        logging.disable()
        try:
            async with run_catalog(read_rooms_file(path, {}), live, CropCache()):
                return list(_registered(live.registry))
        finally:
            logging.disable(logging.NOTSET)


def _registered(registry: CollectorRegistry) -> Iterator[tuple[str, str]]:
    for collector in registry._collector_to_names:
        for metric in collector.collect():
            labels = getattr(collector if isinstance(collector, MetricWrapperBase) else metric, "_labelnames")  # noqa: B009
            name = metric.name + ("_total" if metric.type == "counter" else "")
            labelled = f"{{{','.join(labels)}}}" if labels else ""
            yield f"`{name}{labelled}`", metric.documentation + (" (histogram)" if metric.type == "histogram" else "")


def _table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [heads, ("---",) * len(heads), *rows]
    return "\n".join("|" + "|".join(f" {cell} " if cell else " " for cell in line) + "|" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
