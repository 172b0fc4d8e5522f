"""What is held back while a frame is on its way to a look: those that looked like it say what it will say."""

from __future__ import annotations

from livecart.pipeline.familiar import FrameKey


class AwaitedLook:
    """The newest frame that is on its way to a look, and the newest one that looked like it meanwhile."""

    def __init__(self) -> None:
        self._awaited: FrameKey | None = None
        self._like: FrameKey | None = None

    def sent(self, key: FrameKey) -> None:
        """A frame is on its way to a look."""
        self._awaited, self._like = key, None

    def hold(self, key: FrameKey) -> bool:
        """A frame came that looks like the newest one sent; whether it is held until that one is answered."""
        if self._awaited is None:
            return False
        self._like = key
        return True

    def answered(self, key: FrameKey) -> FrameKey | None:
        """A frame was looked at; the one that was held for it, if any."""
        if self._awaited != key:
            return None
        like = self._like
        self.forget()
        return like

    def lost(self, key: FrameKey) -> None:
        """A frame was not looked at; nor is what it was like known."""
        if self._awaited == key:
            self.forget()

    def forget(self) -> None:
        """Nothing is awaited any more."""
        self._awaited = self._like = None
