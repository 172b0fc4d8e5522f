"""What clients send, as FastAPI reads and documents it."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from livecart.settings import RoomSettings
from livecart.types import Candidate

Sku = Annotated[str, Field(min_length=1, max_length=200)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class RoomBody(_Body):
    """A room, as in rooms.toml but for its id, which the path has."""

    source: Annotated[str, Field(description="a stream's URL, or 'whip'", min_length=1, max_length=4096)]
    rate_hz: Annotated[float | None, Field(description="sampled frames a second, 0.1 to 10")] = None
    realtime: bool | None = None
    products: Annotated[list[Sku] | None, Field(description="the only products announced", max_length=100_000)] = None
    product_list: Annotated[str | None, Field(description="the room's name in the catalog; default: its id")] = None
    playback_url: Annotated[str | None, Field(description="where viewers play the stream", max_length=4096)] = None

    def settings(self, room: str) -> RoomSettings:
        """The same for livecart.

        Raises:
            SettingsError: a value cannot be used.
        """
        return RoomSettings(
            id=room,
            source=self.source,
            rate_hz=self.rate_hz,
            realtime=self.realtime,
            products=None if self.products is None else tuple(self.products),
            product_list=self.product_list,
            playback_url=self.playback_url,
        )


class PinBody(_Body):
    """A product to show now. With name and link its card comes at once, else with its next look."""

    sku: Sku
    name: Annotated[str | None, Field(min_length=1, max_length=500)] = None
    url: Annotated[str | None, Field(pattern="^https://", max_length=2000)] = None
    price: Annotated[str | None, Field(pattern=r"^\d+(\.\d+)?$", max_length=30)] = None
    currency: Annotated[str | None, Field(pattern="^[A-Z]{3}$")] = None

    def candidate(self) -> Candidate | None:
        """The card's particulars, where name and link are given."""
        if self.name is None or self.url is None:
            return None
        return Candidate(self.sku, self.name, self.url, 1.0, None, self.price, self.currency)


class MuteBody(_Body):
    """A product not to show, for so long; without a time until it is unmuted."""

    sku: Sku
    for_s: Annotated[float | None, Field(gt=0, le=31_536_000)] = None


class WithdrawBody(_Body):
    """A product whose card is to go."""

    sku: Sku
