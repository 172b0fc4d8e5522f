"""What a region keeps of the photos that its crops resemble."""

from types import SimpleNamespace

import numpy as np

from recognition.find.scene import Likeness, Region

#: Product 0 has photo 0 with views 0 and 1, product 1 has photo 1 with view 2.
CATALOG = SimpleNamespace(snapshot=SimpleNamespace(view_photo=np.array([0, 0, 1]), photo_product=np.array([0, 1])))
WIDE, NARROW = (0.0, 0.0, 9.0, 9.0), (2.0, 2.0, 5.0, 5.0)


def test_what_stands_out_most_counts_and_not_what_is_most_alike():
    region = Region(WIDE)
    similarities, saliences = np.array([0.8, 0.6, 0.5], np.float32), np.array([1.0, 2.0, 7.0], np.float32)
    region.take_views(CATALOG, WIDE, np.array([0, 1, 2]), similarities, saliences)
    assert region.photo[0] == Likeness(2.0, np.float32(0.6), WIDE)
    assert region.views == [1, 0], "photos that stand out are compared first"


def test_of_several_crops_the_best_is_kept_and_nothing_is_no_view():
    region = Region(WIDE)
    for box, salience in ((WIDE, 3.0), (NARROW, 5.0), (WIDE, 4.0)):
        region.take_views(
            CATALOG, box, np.array([2, -1]), np.array([0.5, -np.inf], np.float32), np.array([salience, 0.0], np.float32)
        )
    assert region.photo == {1: Likeness(5.0, 0.5, NARROW)}
