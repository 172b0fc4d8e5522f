"""Reads a source tree's imports and holds them against the arrows of the design: the archive's and livecart's.

Kept apart from ``test_imports.py`` so that the checker itself can be tested on trees that break a rule.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PACKAGE = "recognition"
ENTRY = "product_handler"
#: Beside the entry: they follow a catalog over the network, and know of recognition no more than its errors.
FOLLOWER = "snapshot_follower"
FOLLOWING = (FOLLOWER, "snapshot_sources", "snapshot_cache")
#: The server, and everything that opens a network connection.
NOT_IN_RECOGNITION = ("ts", "requests", "httpx", "aiohttp", "socket", "ssl", "urllib.request", "urllib3", "http")
LIVECART = "livecart"
#: livecart's parts, which do not know each other, and what they may all know.
PARTS = ("web", "pipeline", "catalog", "bus")
BASE = ("types", "errors", "settings", "http_replies", "rate_limits")
#: Puts the parts together. Above it only the command line.
TOP = ("cli", "__main__")
#: Nothing of livecart's needs a network's weights, and the archive is known over HTTP only.
NOT_IN_LIVECART = ("torch", "torchvision", "cv2", "PIL", "matplotlib", "handler", "recognition", "scripts", "tests")
#: Folders beside handler/ that may import it and are never imported by it.
OUTSIDE = ("scripts", "tests", "benchmarks", "livecart")


@dataclass(frozen=True)
class Import:
    """``target`` is a module's dotted name. ``lazy`` imports run in a function, or never (``TYPE_CHECKING``)."""

    target: str
    lazy: bool
    line: int


def module_names(handler: Path) -> dict[str, Path]:
    """Dotted name of every module under ``handler``, as the archive's worker imports it."""
    names = {}
    for path in sorted(handler.rglob("*.py")):
        parts = path.relative_to(handler).with_suffix("").parts
        names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return names


def imports_of(module: str, path: Path, known: set[str]) -> list[Import]:
    """Every import of one file; ``from package import module`` counts as one of the module where it is ``known``."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    found = []
    for node, lazy in _walk(ast.parse(path.read_text(encoding="utf-8")), lazy=False):
        if isinstance(node, ast.Import):
            found += [Import(alias.name, lazy, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, package)
            for alias in node.names:
                deeper = f"{base}.{alias.name}"
                found.append(Import(deeper if deeper in known else base, lazy, node.lineno))
    return found


def violations(handler: Path) -> list[str]:
    """One line for each import that goes against an arrow; empty where all is well."""
    names = module_names(handler)
    imports = {module: imports_of(module, path, set(names)) for module, path in names.items()}
    outside = {*OUTSIDE, *_modules_beside(handler)} - set(names)
    found = []
    for module, targets in imports.items():
        for item in targets:
            reason = _reason(module, item, outside, set(names))
            if reason:
                found.append(f"{module}, line {item.line}: imports {item.target}: {reason}")
    cycle = _cycle({module: [item.target for item in targets] for module, targets in imports.items()})
    return [*found, f"cycle: {' -> '.join(cycle)}"] if cycle else found


def livecart_violations(root: Path) -> list[str]:
    """The same for the package `livecart` in `root`."""
    folder = root / LIVECART
    names = {f"{LIVECART}.{name}" if name else LIVECART: path for name, path in module_names(folder).items()}
    imports = {module: imports_of(module, path, set(names)) for module, path in names.items()}
    found = []
    for module, targets in imports.items():
        for item in targets:
            reason = _livecart_reason(module, item.target)
            if reason:
                found.append(f"{module}, line {item.line}: imports {item.target}: {reason}")
    # What only a type checker sees, or a function imports when it is called, may point back.
    cycle = _cycle({module: [item.target for item in targets if not item.lazy] for module, targets in imports.items()})
    return [*found, f"cycle: {' -> '.join(cycle)}"] if cycle else found


def _livecart_reason(module: str, target: str) -> str | None:
    if _within(target, *NOT_IN_LIVECART):
        return "livecart needs no weights, and knows the archive over HTTP only"
    if not _within(target, LIVECART):
        return None
    here, there = _layer(module), _layer(target)
    if there in ("", here) or here in TOP:
        return None
    if here in BASE:
        return "types, errors and settings are below everything" if there not in BASE else None
    if here in PARTS:
        return f"{here} knows only types, errors and settings" if there not in BASE else None
    # The app and the modules beside it.
    return "the command line is above the app" if there in TOP else None


def _layer(module: str) -> str:
    """The name below livecart: `livecart.bus.redis_bus` is of `bus`; the package itself of none."""
    return module.split(".")[1] if "." in module else ""


def _reason(module: str, item: Import, outside: set[str], ours: set[str]) -> str | None:
    target = item.target
    if _within(target, *outside):
        return "handler/ is an archive of its own"
    if module == ENTRY:
        allowed = _within(target, PACKAGE, FOLLOWER)
        return "the entry imports only recognition and the follower" if target in ours and not allowed else None
    if module in FOLLOWING:
        return _reason_following(target, ours)
    if _within(target, *NOT_IN_RECOGNITION):
        return "recognition knows no server and no network"
    if _within(target, ENTRY, *FOLLOWING):
        return "recognition is below the entry"
    if module == f"{PACKAGE}.errors" and target in ours:
        return "errors imports nothing of ours"
    if module == f"{PACKAGE}.reply" and target in ours and target != f"{PACKAGE}.errors":
        return "reply imports only errors"
    backbones = f"{PACKAGE}.backbones"
    if _within(target, backbones) and not _within(module, backbones) and not item.lazy:
        return "a worker on OpenVINO must not load torch and timm"
    return None


def _reason_following(target: str, ours: set[str]) -> str | None:
    if _within(target, "ts"):
        return "following a catalog needs no server"
    allowed = (f"{PACKAGE}.errors", *FOLLOWING)
    return "the follower imports of ours only errors" if target in ours and target not in allowed else None


def _within(module: str, *packages: str) -> bool:
    return any(module == package or module.startswith(package + ".") for package in packages)


def _modules_beside(handler: Path) -> set[str]:
    """Scripts are run from their folder, so that their modules could be imported by their bare names.

    Those of livecart are not: it is a package, and its `types` must not be taken for Python's.
    """
    folders = set(OUTSIDE) - {LIVECART}
    return {path.stem for folder in folders for path in (handler.parent / folder).glob("*.py")} - {"__init__"}


def _walk(node: ast.AST, *, lazy: bool) -> Iterator[tuple[ast.AST, bool]]:
    for child in ast.iter_child_nodes(node):
        inside = lazy or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        inside = inside or (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test))
        yield child, inside
        yield from _walk(child, lazy=inside)


def _absolute(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    parts = package.split(".")
    base = parts[: len(parts) - node.level + 1]
    return ".".join([*base, node.module] if node.module else base)


def _cycle(graph: dict[str, list[str]]) -> list[str] | None:
    done: set[str] = set()

    def visit(module: str, way: list[str]) -> list[str] | None:
        if module in way:
            return [*way[way.index(module) :], module]
        if module in done or module not in graph:
            return None
        for target in graph[module]:
            found = visit(target, [*way, module])
            if found:
                return found
        done.add(module)
        return None

    return next((found for module in graph if (found := visit(module, []))), None)
