"""The function that every peer serves: photos in, replies out, by the archive's own recogniser."""

import os
from collections.abc import Sequence
from pathlib import Path

import yaml

from contract.reply import encode
from recognition.errors import RecognitionError
from recognition.recognizer import Recognizer
from recognition.request.forms import Options, Request
from recognition.settings import parse_settings
from torchserve_plan import CONFIG_FILE, MODEL

#: Of the archive's `model-config.yaml`, so that all batch alike.
BATCH_SIZE, BATCH_DELAY_MS = 8, 1
#: Processes of the recogniser, each with the threads that the archive's workers have.
PROCESSES = int(os.environ.get("PEER_PROCESSES", "1"))


class Recognise:
    """One process's recogniser, from the folder PEER_ARCHIVE and, if named, the catalog PEER_SNAPSHOT."""

    def __init__(self) -> None:
        folder = Path(os.environ["PEER_ARCHIVE"])
        settings = parse_settings(yaml.safe_load((folder / CONFIG_FILE).read_text(encoding="utf-8")))
        self._recognizer = Recognizer.from_folder(folder, settings, name=MODEL, version="1.0")
        if snapshot := os.environ.get("PEER_SNAPSHOT"):
            self._recognizer.use_catalog(self._recognizer.open_catalog(Path(snapshot)))
        self._recognizer.warm_up(BATCH_SIZE)
        self._options = Options(room=None, top_k=settings.top_k.default, threshold=None, text="auto")

    def __call__(self, photos: Sequence[bytes]) -> list[bytes]:
        """The reply to each photo, as the archive would send it.

        Raises:
            RecognitionError: one could not be answered: the benchmark's are all good.
        """
        replies = []
        for reply in self._recognizer.recognize([Request(photo, self._options) for photo in photos]).replies:
            if isinstance(reply, RecognitionError):
                raise reply
            replies.append(encode(reply))
        return replies
