"""Everything that goes wrong on purpose, with the message that the operator reads.

LivecartError
├── SettingsError         a setting, a file or an argument that cannot be used; names it, says what to do
├── StreamError           the stream cannot be opened, read or decoded; the reader reconnects
├── RecognizerError       the recogniser refused or failed this frame
│   └── RecognizerBusy    it may well answer in a moment: queue full, restarting, not reachable
├── BusError              events cannot be published or read now
└── CatalogError          the catalog's store, its files, its feeds, its snapshots: `livecart.shop.errors`
"""


class LivecartError(Exception):
    """Base of all: its text is one sentence for the person who runs livecart."""


class SettingsError(LivecartError):
    """A setting that cannot be used."""


class StreamError(LivecartError):
    """A stream that cannot be opened, read or decoded."""


class RecognizerError(LivecartError):
    """A frame that the recogniser did not answer, and would not answer if asked again."""


class RecognizerBusy(RecognizerError):
    """The recogniser did not answer now; the same frame may be sent again while it is fresh."""


class BusError(LivecartError):
    """The event bus is not to be had now."""
