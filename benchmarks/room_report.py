"""Report of one run of rooms: figures, shortcomings, tables."""

import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.room_measure import Between
from livecart.live.gate.gate import SKIP_REASONS

#: 95 % of the cards within so many seconds; a bound of the histogram's buckets.
CARD_WITHIN_S, CARD_SHARE = 1.0, 0.95
#: Of the shows in the measured time, so many have to bring a card: who drowns may yet be quick with the few it finds.
LEAST_CARDS_SHARE = 0.8
#: Of the frames that the rate asks for, so many have to be sampled.
LEAST_SAMPLED_SHARE = 0.95
#: From this share of all cores on, it is the processor that limits.
_BUSY_SHARE = 0.85


@dataclass(frozen=True, slots=True)
class Run:
    """Options and remains of a run: rooms as `GET /rooms` has them, memory by program."""

    rooms: int
    rate_hz: float
    #: In the measured time, over all rooms.
    shows: float
    views: list[dict[str, Any]]
    memory_mib: dict[str, float]


def result(between: Between, run: Run) -> dict[str, Any]:
    seconds = between.seconds
    gate = between.counted("gate_frames", "reason")
    judged = sum(gate.values())
    cards = between.distribution("captured_to_card_seconds")
    frames = between.counted("frames", "outcome")
    cpu = {who: round(1000 * used_s / seconds / run.rooms, 2) for who, used_s in between.cpu_s.items()}
    figures = {
        "rooms": run.rooms,
        "shows": round(run.shows, 1),
        "captured_to_card": cards.summary() | {"share_within_1_s": round(cards.share_within(CARD_WITHIN_S), 4)},
        "captured_to_result": between.distribution("captured_to_result_seconds").summary(),
        "frames": {outcome: frames.get(outcome, 0) for outcome in ("answered", "replaced", "stale")} | frames,
        "incidents": between.counted("incidents", "incident"),
        "background_failures": between.counted("background_failures", "where"),
        "sampled_per_s": round(sum(between.counted("sampled_frames", "room").values()) / seconds, 2),
        "decoded_per_s": round(sum(between.counted("decoded_frames", "room").values()) / seconds, 1),
        "asked_per_s": round(sum(frames.values()) / seconds, 2),
        "gate": gate,
        "skipped_share": round(sum(gate.get(reason, 0) for reason in SKIP_REASONS) / judged, 3) if judged else None,
        "cpu_ms_per_s_and_room": cpu,
        "cores_used": round(sum(used_s for who, used_s in between.cpu_s.items() if who != "source") / seconds, 2),
        "cores_used_by_others": round((between.machine_busy_s - sum(between.cpu_s.values())) / seconds, 2),
        "stage_ms": between.mean_ms("stage_seconds"),
        "recognizer_ms": between.mean_ms("recognizer_seconds"),
        "memory_mib": run.memory_mib,
    }
    figures["shortcomings"] = shortcomings(figures, run)
    return figures


def shortcomings(figures: dict[str, Any], run: Run) -> list[str]:
    """Reasons why the machine does not carry these rooms; empty where it does."""
    cards, frames = figures["captured_to_card"], figures["frames"]
    wanted_per_s = run.rooms * run.rate_hz
    # Frames that were turned away until they had grown too old count as `gave_up`.
    lost = {outcome: frames.get(outcome, 0) for outcome in ("stale", "gave_up", "failed", "refused")}
    lame = [view["id"] for view in run.views if view["state"] != "live" or view["connections"] != 1]
    found = []
    if cards["count"] == 0:
        found.append("no cards")
    elif cards["share_within_1_s"] < CARD_SHARE:
        found.append(f"{cards['share_within_1_s']:.0%} of the cards within {CARD_WITHIN_S:g} s")
    if cards["count"] < LEAST_CARDS_SHARE * int(figures["shows"]):
        found.append(f"{cards['count']} cards for {figures['shows']:g} shows")
    found += [f"{count} frames {outcome}" for outcome, count in lost.items() if count]
    if figures["sampled_per_s"] < LEAST_SAMPLED_SHARE * wanted_per_s:
        found.append(f"{figures['sampled_per_s']:g} of {wanted_per_s:g} frames/s sampled")
    if lame:
        found.append(f"{len(lame)} rooms not live all the time")
    return found


def limited_by(figures: dict[str, Any], cores: int) -> str:
    """One sentence about what limits these rooms."""
    if "cores_used" not in figures:
        return str(figures["shortcomings"][0]).splitlines()[0]
    costs = {who: ms for who, ms in figures["cpu_ms_per_s_and_room"].items() if who != "source"}
    dearest = max(costs, key=lambda who: costs[who])
    share = f"{dearest}: {costs[dearest] / max(sum(costs.values()), 1e-9):.0%} of a room's processor time"
    busy = figures["cores_used"] + max(0.0, figures["cores_used_by_others"])
    if busy >= _BUSY_SHARE * cores:
        return f"the processor ({busy:.2f} of {cores} cores busy, {figures['cores_used']:.2f} by these rooms); {share}"
    return f"not the processor ({busy:.2f} of {cores} cores busy); {share}"


def one_line(figures: dict[str, Any]) -> str:
    verdict = "; ".join(figures["shortcomings"]) or "passed"
    if "captured_to_card" not in figures:
        return f"{figures['rooms']} rooms: {verdict}"
    card, decided = figures["captured_to_card"], figures["captured_to_result"]
    return (
        f"{figures['rooms']} rooms: {card['count']} cards, p50 {card['p50_s']} s, p95 {card['p95_s']} s, "
        f"results p95 {decided['p95_s']} s, {figures['asked_per_s']} frames/s asked, "
        f"{figures['cores_used']} cores: {verdict}"
    )


def show(report: dict[str, Any]) -> None:
    console = Console(width=150, highlight=False)
    console.print(f"{report['cores']} cores, {report['processor']}; {report['clip']}; {report['rate_hz']:g} frame/s")
    for name, way in report["ways"].items():
        console.print(_runs_table(name, way))
        detailed = _telling(way)
        if detailed is not None:
            console.print(_cost_table(detailed))
            console.print(f"{detailed['rooms']} rooms are limited by: {limited_by(detailed, report['cores'])}")
            console.print(f"memory, MiB: {detailed['memory_mib']}; gate: {detailed['gate']}")
    found = {name: way["rooms"] for name, way in report["ways"].items()}
    console.print(f"rooms carried: {found}; ratio: {report['ratio']}; target: {report['target_rooms']}")
    console.print("missed: " + ("; ".join(report["missed"]) or "nothing"))


def _telling(way: dict[str, Any]) -> dict[str, Any] | None:
    """The run whose costs are shown: the largest that passed, else the smallest that ran."""
    ran = [run for run in way["runs"] if "captured_to_card" in run]
    return next(
        (run for run in ran if run["rooms"] == way["rooms"]), min(ran, key=lambda run: run["rooms"], default=None)
    )


def _runs_table(name: str, way: dict[str, Any]) -> Table:
    table = Table(title=f"{name}: {way['title']}", title_justify="left")
    headings = "rooms cards p50 p95 result-p50 result-p95 stale replaced sampled/s asked/s skipped cores others verdict"
    for heading in headings.split():
        table.add_column(heading.replace("-", " "), justify="left" if heading == "verdict" else "right")
    for run in way["runs"]:
        verdict = "; ".join(run["shortcomings"]) or "passed"
        if "captured_to_card" not in run:
            table.add_row(str(run["rooms"]), *[""] * 12, verdict.splitlines()[0])
            continue
        card, decided, frames = run["captured_to_card"], run["captured_to_result"], run["frames"]
        cells = [run["rooms"], f"{card['count']}/{run['shows']:g}", card["p50_s"], card["p95_s"], decided["p50_s"]]
        cells += [decided["p95_s"], frames["stale"], frames["replaced"], run["sampled_per_s"], run["asked_per_s"]]
        cells += [run["skipped_share"], run["cores_used"], run["cores_used_by_others"], verdict]
        table.add_row(*(str(cell) for cell in cells))
    return table


def _cost_table(run: dict[str, Any]) -> Table:
    table = Table(title=f"what one of {run['rooms']} rooms costs", title_justify="left")
    table.add_column("processor time, ms a second")
    table.add_column("time of a frame in each stage, ms: livecart")
    table.add_column("recogniser")
    columns = [run["cpu_ms_per_s_and_room"], run["stage_ms"], run["recognizer_ms"]]
    table.add_row(*("\n".join(f"{name} {value:g}" for name, value in column.items()) for column in columns))
    return table


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
