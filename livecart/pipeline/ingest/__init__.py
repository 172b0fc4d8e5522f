"""From a stream's URL to sampled frames: reading, reconnecting, decoding no more than the wanted rate needs.

`StreamReader` is what others use. `connection` is one opening of a source, `decoding` chooses what is decoded,
`timeline` knows stalls and capture times, `interrupt` gets a thread out of FFmpeg.
"""

from livecart.pipeline.ingest.pace import Pace
from livecart.pipeline.ingest.picture import ArrayPicture, VideoPicture
from livecart.pipeline.ingest.reader import StreamReader
from livecart.pipeline.ingest.settings import IngestSettings
from livecart.pipeline.ingest.source import Source, parse_source
from livecart.pipeline.ingest.stats import DecodeMode, ReaderCounts, ReaderStats
from livecart.pipeline.ingest.timeline import StreamStalled

__all__ = [
    "ArrayPicture",
    "DecodeMode",
    "IngestSettings",
    "Pace",
    "ReaderCounts",
    "ReaderStats",
    "Source",
    "StreamReader",
    "StreamStalled",
    "VideoPicture",
    "parse_source",
]
