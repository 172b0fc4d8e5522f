"""From a stream's URL to sampled frames: reading, reconnecting, decoding no more than the wanted rate needs.

reader.py      a stream that is read;  whip.py  one that is sent (whep.py: watched)
source.py      what may be opened;  egress.py  where that may lead;  connection.py  one opening of it;  srt.py  SRT
decoding.py    which frames, with sampling.py;  tone_mapping.py  HDR
timeline.py    when a stream stalls, capture times;  read_guard.py  when reads end
picture.py     pixels, JPEG;  settings.py, stats.py
"""

from livecart.live.video.picture import ArrayPicture, VideoPicture
from livecart.live.video.reader import StreamReader
from livecart.live.video.sampling import SamplingRate
from livecart.live.video.settings import IngestSettings
from livecart.live.video.source import parse_source

__all__ = ["ArrayPicture", "IngestSettings", "SamplingRate", "StreamReader", "VideoPicture", "parse_source"]
