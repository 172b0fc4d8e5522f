"""The plan of one room: the operator's settings for it, resolved and checked."""

from dataclasses import dataclass

import msgspec

from livecart.core.errors import SettingsError
from livecart.core.overlay_position import Region
from livecart.core.settings import WHIP_SOURCE, RoomSettings
from livecart.live.decide import DecisionSettings
from livecart.live.gate.settings import GateSettings
from livecart.live.video import IngestSettings, parse_source


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomPlan:
    """Everything that a `RoomRunner` needs to know. Equal plans run alike."""

    room: str
    source: str
    #: The source without user, password and query.
    shown: str
    ingest: IngestSettings
    #: None: every sampled frame goes to the recogniser.
    gate: GateSettings | None
    decision: DecisionSettings
    #: Read every sampled frame, one after the other; only files are.
    lossless: bool
    products: frozenset[str] | None
    product_list: str
    #: The picture is left for right; None: found out.
    mirror: bool | None
    ignore_regions: tuple[Region, ...] = ()


def plan_room(
    room: RoomSettings, *, ingest: IngestSettings, gate: GateSettings | None, decision: DecisionSettings
) -> RoomPlan:
    """The plan of one room, its own settings over the common ones.

    Raises:
        SettingsError: the source cannot be one, or is of a scheme that `ingest.schemes` leaves out; names the room.
    """
    changes: dict[str, float | bool] = {}
    if room.rate_hz is not None:
        changes["rate_hz"] = room.rate_hz
    if room.realtime is not None:
        changes["realtime"] = room.realtime
    if room.source == WHIP_SOURCE:
        shown, is_file = WHIP_SOURCE, False
    else:
        try:
            source = parse_source(room.source, ingest)
        except SettingsError as error:
            raise SettingsError(f"room {room.id}: {error}") from error
        shown, is_file = source.shown, source.is_file
    if not is_file:
        # A recording that is reached over HTTP comes as a stream would: at its own pace, newest frame first.
        changes["realtime"] = True
    ingest = msgspec.structs.replace(ingest, **changes)
    return RoomPlan(
        room=room.id,
        source=room.source,
        shown=shown,
        ingest=ingest,
        gate=gate,
        decision=decision,
        lossless=is_file and not ingest.realtime,
        products=None if room.products is None else frozenset(room.products),
        product_list=room.product_list or room.id,
        mirror=None if room.mirror == "auto" else room.mirror,
        ignore_regions=room.ignore_regions,
    )
