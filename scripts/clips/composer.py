"""Composes a clip and its truth from a plan. Everything random goes by the plan's seed."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import cv2
import numpy as np

from clips.actors import Actor
from clips.cuts import Cut, plan_cuts
from clips.errors import ClipError
from clips.hands import GRIP_SHARE, HIDE_SHARE, Hand, any_dress, make_hand
from clips.hosts import HostClip, find_clip, read_clip
from clips.motion import PoseTrack, Stage, held, held_aside, set_down
from clips.overlays import Overlays, plan_overlays
from clips.products import ClipProduct, Products
from clips.sprites import Rgb, make_sprite, outline_in
from clips.stills import Standing, draw_slides, set_table
from clips.storyboard import Slot, plan_slots
from clips.studio import Studio
from clips.writing import ClipWriter
from evaluation.compose import seed_for
from livecart.cli.clip_score import ClipTruth, ShownProduct

StillKind = Literal["table", "slides", "host"]

#: Share of the shows beside which another product is held aside.
_COMPANY_SHARE = 0.25
_ON_TABLE = 5
#: Spread of a camera's noise, in levels of 255, and how many pictures of it take turns.
_GRAIN, _GRAINS = 1.6, 6


class Backdrop(Protocol):
    """The background behind the products."""

    def frame(self, t_s: float) -> Rgb:
        """A new array of the clip's size, uint8 (h, w, 3)."""


@dataclass(frozen=True)
class ClipPlan:
    """Options of a clip. ``host`` is a clip or a folder of clips, None for the drawn studio.

    Without ``person`` only hands come into the drawn studio. ``overlays_name``: banner, captions and chat name products
    that are not presented.
    """

    seed: int
    duration_s: float
    size_px: tuple[int, int]
    fps: int
    bit_rate: int
    keyframe_distance_s: float
    shows: int | None = None
    host: Path | None = None
    person: bool = True
    still: StillKind | None = None
    overlays_name: bool = False


@dataclass(frozen=True)
class Composition:
    """A clip before it is encoded: any frame of it, and what it shows."""

    plan: ClipPlan
    backdrop: Backdrop
    actors: Sequence[Actor]
    standing: Sequence[Standing]
    overlays: Overlays
    grains: Sequence[Rgb]

    def frames(self) -> Iterator[Rgb]:
        for number in range(round(self.plan.duration_s * self.plan.fps)):
            t_s = number / self.plan.fps
            frame = self.backdrop.frame(t_s)
            for actor in self.actors:
                actor.draw(frame, t_s)
            self.overlays.draw(frame, t_s)
            if self.grains:
                # The pictures of noise are centred on 128.
                frame = np.asarray(cv2.addWeighted(frame, 1, self.grains[number % len(self.grains)], 1, -128), np.uint8)
            yield frame

    def truth(self, clip: str) -> ClipTruth:
        """The truth of the clip of that file name."""
        plan = self.plan
        shows: list[ShownProduct] = []
        bystanders = [_stood(each, plan) for each in self.standing]
        for actor in self.actors:
            found = actor.truth(plan.size_px, plan.fps, plan.duration_s)
            if found is not None:
                (shows if actor.presented else bystanders).append(found)
        return ClipTruth(
            schema=1,
            clip=clip,
            fps=float(plan.fps),
            width=plan.size_px[0],
            height=plan.size_px[1],
            duration_s=round(plan.duration_s * plan.fps) / plan.fps,
            shows=sorted(shows, key=lambda show: show.from_s),
            bystanders=sorted(bystanders, key=lambda bystander: bystander.from_s),
        )


def compose_clip(plan: ClipPlan, products: Products) -> Composition:
    """Decide everything that the clip shows.

    Raises:
        ClipError: the plan cannot be carried out; the message says what to change.
    """
    slots = plan_slots(plan.duration_s, shows=plan.shows, still=plan.still is not None, rng=_rng(plan, "slots"))
    aside = _ON_TABLE if plan.still == "table" else len(slots)
    chosen = products.choose(len(slots) + aside, plan.seed)
    shown, others = chosen[: len(slots)], chosen[len(slots) :]
    if not shown:
        raise ClipError("no product to show; give a folder that has some, or leave --products away")
    backdrop, standing = _backdrop(plan, others)
    actors: list[Actor] = []
    for place, slot in enumerate(slots):
        company = others[place] if plan.still is None and place < len(others) else None
        actors += _show(plan, slot, place, shown[place % len(shown)], company)
    prices = [shown[place % len(shown)].price for place in range(len(slots))]
    overlays = plan_overlays(
        plan.size_px,
        plan.duration_s,
        slots,
        prices,
        still=plan.still is not None,
        rng=_rng(plan, "overlays"),
        names=[product.name for product in others] if plan.overlays_name else (),
    )
    # Slides and a paused host come out of a computer, without a camera's noise.
    grains = () if plan.still in ("slides", "host") else _grains(plan)
    return Composition(plan, backdrop, actors, standing, overlays, grains)


def write_clip(composition: Composition, path: Path, progress: Callable[[int], None] = lambda _done: None) -> ClipTruth:
    """Encode the clip to ``path`` and return its truth. ``progress`` is told the number of frames written.

    Raises:
        ClipError: the file cannot be written.
    """
    plan = composition.plan
    with ClipWriter(
        path,
        size_px=plan.size_px,
        fps=plan.fps,
        bit_rate=plan.bit_rate,
        keyframe_distance_s=plan.keyframe_distance_s,
    ) as writer:
        for number, frame in enumerate(composition.frames(), start=1):
            writer.write(frame)
            progress(number)
    return composition.truth(path.name)


def _show(plan: ClipPlan, slot: Slot, place: int, product: ClipProduct, company: ClipProduct | None) -> list[Actor]:
    """The actors of one show; the one who is presented comes last, in front."""
    rng, seed = _rng(plan, "show", str(place)), seed_for(plan.seed, "hands", str(place))
    dress = any_dress(plan.seed)
    stage = _stage(plan, product)
    if plan.still is not None:
        # On slides a product is a picture among others; elsewhere somebody holds it in from the side.
        own = None if plan.still == "slides" else make_hand(product.cutout, dress, seed=seed, most=GRIP_SHARE)
        return [_actor(product, set_down(stage, slot.start_s, slot.stop_s, rng), own)]
    grip = make_hand(product.cutout, dress, seed=seed, most=GRIP_SHARE)
    track = held(stage, slot.start_s, slot.stop_s, rng)
    hider = make_hand(product.cutout, dress, seed=seed + 1, most=HIDE_SHARE)
    actors = [_actor(product, track, grip, hider)]
    if company is not None and rng.random() < _COMPANY_SHARE:
        side = str(rng.choice(["left", "right"]))
        aside = held_aside(_stage(plan, company), slot.start_s + 1.2, slot.stop_s - 1.0, side, rng)
        other = make_hand(company.cutout, dress, seed=seed + 2, most=GRIP_SHARE)
        actors.insert(0, _actor(company, aside, other, presented=False))
    return actors


def _actor(
    product: ClipProduct,
    track: PoseTrack,
    grip: Hand | None = None,
    hider: Hand | None = None,
    *,
    presented: bool = True,
) -> Actor:
    return Actor(product, make_sprite(product.cutout.rgb, product.cutout.alpha), track, grip, hider, presented)


def _stage(plan: ClipPlan, product: ClipProduct) -> Stage:
    height, width = product.cutout.alpha.shape
    return Stage(plan.size_px[0], plan.size_px[1], width / height)


def _backdrop(plan: ClipPlan, others: Sequence[ClipProduct]) -> tuple[Backdrop, list[Standing]]:
    rng = _rng(plan, "background")
    cuts = [Cut(0.0)] if plan.still is not None else plan_cuts(plan.duration_s, _rng(plan, "cuts"))
    if plan.still == "slides":
        return draw_slides(plan.size_px), []
    if plan.still == "table":
        room = Studio(plan.size_px, cuts, dress=any_dress(plan.seed), rng=rng, host=False).frame(0.0)
        return set_table(room, others, rng)
    paused_s = float(rng.uniform(0, 60)) if plan.still == "host" else None
    if plan.host is None:
        return Studio(plan.size_px, cuts, dress=any_dress(plan.seed), rng=rng, host=plan.person, paused_s=paused_s), []
    frames, fps = read_clip(find_clip(plan.host, plan.seed))
    return HostClip(frames, fps, cuts, plan.size_px, paused_s), []


def _grains(plan: ClipPlan) -> list[Rgb]:
    rng = _rng(plan, "grain")
    width, height = plan.size_px
    return [
        np.clip(np.rint(rng.normal(128, _GRAIN, (height, width, 1))), 0, 255).astype(np.uint8).repeat(3, axis=2)
        for _ in range(_GRAINS)
    ]


def _stood(standing: Standing, plan: ClipPlan) -> ShownProduct:
    points = outline_in(standing.sprite, standing.pose)
    box = (0.0, *(round(float(value), 1) for value in (*points.min(axis=0), *points.max(axis=0))))
    left, top, right, bottom = box[1:]
    return ShownProduct(
        sku=standing.product.sku,
        name=standing.product.name,
        from_s=0.0,
        to_s=plan.duration_s,
        boxes=[(0.0, left, top, right, bottom)],
        visible=[1.0],
    )


def _rng(plan: ClipPlan, *parts: str) -> np.random.Generator:
    return np.random.default_rng(seed_for(plan.seed, *parts))
