"""The votes that a gallery's photos get from print: by their definition, and none where nothing can be told."""

import numpy as np

from recognition.keypoints.extract import unpack
from recognition.keypoints.votes import KeypointIndex
from tests.recognition.made_galleries import contents, shop, stored


def test_photos_get_the_votes_of_their_own_print(large):
    made, snapshot = large
    index = KeypointIndex.open(snapshot)
    for photo in (0, 3, 899):
        votes = index.votes(unpack(made.local_descriptors[photo * 4 : photo * 4 + 4]))
        assert votes.shape == (900,)
        assert votes.dtype == np.float32
        assert votes.argmax() == photo
        assert (votes >= 0).all()


def test_votes_follow_their_definition(tmp_path):
    # Few enough features that all lists are looked through.
    made = contents(shop(5), products=5, features=9)
    index = KeypointIndex.open(stored(tmp_path, made))
    asked = unpack(made.local_descriptors[40:50])
    similarity = asked @ unpack(made.local_descriptors).T
    wanted = np.zeros(15)
    for values in similarity:
        nearest = np.argsort(-values)[:5]
        photos = nearest // 9
        for place in range(4):
            if photos[place] not in photos[:place]:
                wanted[photos[place]] += values[nearest[place]] - values[nearest[4]]
    np.testing.assert_allclose(index.votes(asked), wanted, atol=0.25)
    assert np.corrcoef(index.votes(asked), wanted)[0, 1] > 0.97


def test_too_much_print_or_none_has_no_index(tmp_path, monkeypatch):
    assert KeypointIndex.open(stored(tmp_path, contents(shop(3), products=3))) is None
    monkeypatch.setattr("recognition.keypoints.votes.MOST_FEATURES", 10)
    assert KeypointIndex.open(stored(tmp_path, contents(shop(3), products=3, features=2))) is None
