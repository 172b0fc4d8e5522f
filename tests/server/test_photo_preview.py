"""What the staff's pages ask of the recogniser, and when."""

import asyncio
from typing import Any

from contract.reply import ImageInfo, Reply
from livecart.server.photo_preview import PhotoPreview


class Recogniser:
    """Stands in for `RecognizerClient`."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    async def ask(self, _image: bytes, **options: Any) -> Reply:
        self.asked.append(options)
        return Reply(image=ImageInfo(width=3, height=4), products=[])


async def test_a_photo_is_looked_at_after_the_rooms_had_their_looks():
    recogniser, rooms_are_done = Recogniser(), asyncio.Event()

    async def rooms_first() -> None:
        await rooms_are_done.wait()

    preview = PhotoPreview(recogniser, rooms_first)  # type: ignore[arg-type]
    looking = asyncio.create_task(preview(b"\x89PNG"))
    await asyncio.sleep(0.02)
    assert recogniser.asked == []
    rooms_are_done.set()
    look = await asyncio.wait_for(looking, 1)
    assert (look.frame_width_px, look.frame_height_px) == (3, 4)
    assert [each["text"] for each in recogniser.asked] == ["always"]
