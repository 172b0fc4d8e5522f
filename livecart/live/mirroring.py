"""Tells from its results whether a room's picture is mirrored, as a selfie camera sends it."""

from livecart.core.types import Detections

#: Keypoints tell in every result, text only in a picture that is the right way round. While nothing is known, one of
#: this many results with text that leave it open is asked for the other way round; once it is known, one of this many
#: that leave it open is left to the recogniser, which tries both ways.
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
        """The next request's option `mirror`; None leaves it to the recogniser, which goes by keypoints."""
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
