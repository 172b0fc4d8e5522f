"""Which way round a room's picture is, as its results tell: a selfie camera sends it left for right."""

from livecart.core.types import Detections

#: Print tells in every look, text only in a picture that is the right way round. While nothing is known, of the looks
#: that showed text and told nothing each of this many is the other way round; once it is known, each of this many that
#: told nothing is left to the recogniser, which looks both ways.
_OTHER_WAY_EVERY = 16
_BACK_EVERY = 4


class Mirroring:
    """`option` may be called in any thread, `on_result` in the event loop.

    Args:
        setting: True or False where the operator says so; None: found out.
    """

    def __init__(self, setting: bool | None) -> None:
        self._setting = setting
        self._mirrored = setting
        self._told_nothing = 0

    @property
    def mirrored(self) -> bool | None:
        """None: not known."""
        return self._mirrored

    def option(self) -> bool | None:
        """The next request's option `mirror`; None leaves it to the recogniser, which goes by print."""
        if self._setting is not None:
            return self._setting
        count = self._told_nothing + 1
        if self._mirrored is None:
            return True if count % _OTHER_WAY_EVERY == 0 else None
        return None if count % _BACK_EVERY == 0 else self._mirrored

    def on_result(self, detections: Detections) -> None:
        if self._setting is not None:
            return
        if detections.mirrored is not None:
            self._mirrored, self._told_nothing = detections.mirrored, 0
        elif self._mirrored is not None or detections.texts:
            self._told_nothing += 1
