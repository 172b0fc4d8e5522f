"""Finds faces, so that no card covers one and no crop holds one. Rectangles only; no face is kept.

finder.py  a thread and its queue;  detector.py  settings, least score;  centerface.py  the network
"""

from livecart.live.enrich.faces.centerface import MOST_FACES, Face
from livecart.live.enrich.faces.detector import FacesSettings, open_detector
from livecart.live.enrich.faces.finder import FaceFinder, open_finder

__all__ = ["MOST_FACES", "Face", "FaceFinder", "FacesSettings", "open_detector", "open_finder"]
