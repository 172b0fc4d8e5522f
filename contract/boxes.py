"""Boxes (x1, y1, x2, y2), x to the right, y down, and how far they overlap."""

BoxXyxy = tuple[float, float, float, float]
#: In pixels of a picture, upright: rotation and EXIF orientation are applied.
BoxXyxyPx = BoxXyxy


def mirrored(box: BoxXyxy, width: float) -> BoxXyxy:
    """The box in a picture of that width turned left for right."""
    return width - box[2], box[1], width - box[0], box[3]


def area(box: BoxXyxy) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def intersection(one: BoxXyxy, other: BoxXyxy) -> float:
    """Area that two boxes share, 0 where they only touch."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return width * height if width > 0 and height > 0 else 0.0


def iou(one: BoxXyxy, other: BoxXyxy) -> float:
    """Intersection over union, 0 to 1; 0 for boxes without an area."""
    shared = intersection(one, other)
    union = area(one) + area(other) - shared
    return shared / union if union > 0 else 0.0


def clip(box: BoxXyxy, width: float, height: float) -> BoxXyxy | None:
    """The part of a box that lies in a picture of that size; None where nothing does."""
    x1, x2 = (min(max(x, 0.0), float(width)) for x in (box[0], box[2]))
    y1, y2 = (min(max(y, 0.0), float(height)) for y in (box[1], box[3]))
    return (x1, y1, x2, y2) if x1 < x2 and y1 < y2 else None
