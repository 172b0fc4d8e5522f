"""Drawn plain products: photos of a catalog that say little."""

import json

import numpy as np

from evaluation.plain_products import add_plain_products, photograph, plain_products


def test_each_photo_goes_by_its_seed_and_shows_the_product_in_its_middle():
    for product in plain_products(8, seed=1):
        photo, again, other = (photograph(product, seed) for seed in (5, 5, 6))
        np.testing.assert_array_equal(photo, again)
        assert (photo != other).any()
        middle, corner = photo[300:420, 310:330].astype(float), photo[:40, :40].astype(float)
        assert np.abs(middle.mean(axis=(0, 1)) - corner.mean(axis=(0, 1))).max() > 4


def test_a_catalog_gets_so_many_beside_its_own(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "catalog.json").write_text(json.dumps({"schema": 1, "products": [{"sku": "1"}]}), encoding="utf-8")
    added = add_plain_products(tmp_path, 3, photos=2, seed=0)
    products = json.loads((tmp_path / "catalog.json").read_text(encoding="utf-8"))["products"]
    assert [each["sku"] for each in products] == ["1", *(product.sku for product in added)]
    assert all((tmp_path / photo).is_file() for each in products[1:] for photo in each["photos"])
    assert len({photo for each in products[1:] for photo in each["photos"]}) == 6
