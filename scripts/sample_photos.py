"""Real photos that are on the machine anyway, because a package that the project installs ships them."""

from importlib.util import find_spec
from pathlib import Path

_NAMES = ("coffee.png", "chelsea.png", "camera.png")


def sample_photos() -> list[Path]:
    """scikit-image's photos: a cup of coffee (product_links.json sells coffee), a cat and a photographer.

    Raises:
        FileNotFoundError: scikit-image is not installed or no longer ships them.
    """
    spec = find_spec("skimage")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("scikit-image is not installed; `make setup` installs it")
    photos = [Path(spec.origin).parent / "data" / name for name in _NAMES]
    missing = [str(photo) for photo in photos if not photo.is_file()]
    if missing:
        raise FileNotFoundError(f"not in this scikit-image: {', '.join(missing)}")
    return photos
