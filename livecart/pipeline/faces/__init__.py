"""Where faces are, so that no card covers one and no crop holds one. Rectangles only; no face is kept."""

from livecart.pipeline.faces.centerface import Face
from livecart.pipeline.faces.detector import FaceDetector, find_weights, open_detector
from livecart.pipeline.faces.finder import FaceFinder, open_finder
from livecart.pipeline.faces.settings import FacesSettings

__all__ = ["Face", "FaceDetector", "FaceFinder", "FacesSettings", "find_weights", "open_detector", "open_finder"]
