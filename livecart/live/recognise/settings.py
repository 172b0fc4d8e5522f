"""The archive's address and the options of its requests; requests at once, and retries."""

from dataclasses import dataclass

from yarl import URL

from livecart.core.errors import SettingsError


@dataclass(frozen=True, slots=True, kw_only=True)
class RecognizerSettings:
    """The recogniser's address, and the options of every request."""

    #: Its inference address, http or https, such as `http://127.0.0.1:8080`.
    base_url: str
    #: The name it serves the archive under.
    model: str = "product_recognizer"
    #: TorchServe's management address, asked for its ready workers; None: they are not known, and `ready` sends a tiny
    #: picture instead.
    management_url: str | None = None
    #: Sent as a bearer token with every request. LIVECART_TOKEN stands in.
    token: str | None = None
    #: For one whole request, above 0.
    timeout_s: float = 3.0
    #: Of that, for connecting, above 0.
    connect_timeout_s: float = 1.0
    #: Frames are scaled down to this before they are sent; 64 or more. 960 keeps a package's print legible where it
    #: fills a third of the picture, at a third of the bytes of 1280.
    longest_side_px: int = 960
    #: Products are asked for from this confidence on, 0 to 1; several uncertain results that agree may announce what
    #: one of them could not. Within the bounds of the archive's `thresholds`; None: only what the archive shows itself.
    ask_from: float | None = 0.5
    #: When packaging is read: `auto`, `always`, `never`; None: as the archive is set up.
    text: str | None = None
    #: Longer replies are an error.
    max_reply_bytes: int = 1 << 20
    #: Threads that make JPEGs, 1 or more; their quality is that of video/picture.py.
    encode_threads: int = 2

    def __post_init__(self) -> None:
        for key in ("base_url", "management_url"):
            _check_url(key, getattr(self, key))
        for key, least in (("longest_side_px", 64), ("max_reply_bytes", 1), ("encode_threads", 1)):
            if getattr(self, key) < least:
                raise SettingsError(f"recognizer {key} is {getattr(self, key)}; it must be {least} or more")
        for key in ("timeout_s", "connect_timeout_s"):
            if not getattr(self, key) > 0:
                raise SettingsError(f"recognizer {key} is {getattr(self, key)}; it must be above 0 seconds")
        if self.ask_from is not None and not 0 <= self.ask_from <= 1:
            raise SettingsError(f"recognizer ask_from is {self.ask_from}; it must be from 0 to 1")
        if self.text not in {None, "auto", "always", "never"}:
            raise SettingsError(f"recognizer text is {self.text!r}; it must be auto, always or never")
        if not self.model or "/" in self.model:
            raise SettingsError(f"recognizer model is {self.model!r}; it must be the name of a served model")


@dataclass(frozen=True, slots=True, kw_only=True)
class DispatcherSettings:
    """Requests at once, and retries."""

    #: Requests at once, 1 or more. None: the recogniser's ready workers and one more, asked at its `management_url`, 4
    #: where it cannot be asked, and fewer while it does not keep up.
    in_flight: int | None = None
    #: Longest wait before the first retry, above 0; it doubles with each further one.
    backoff_first_s: float = 0.1
    #: Longest wait of all. Each wait is drawn evenly from half its longest to its longest.
    backoff_max_s: float = 1.0
    #: How long a frame of a file is tried before it is given up.
    lossless_patience_s: float = 60.0
    #: How long `run` waits for answers after the queue was closed.
    drain_s: float = 2.0

    def __post_init__(self) -> None:
        if self.in_flight is not None and self.in_flight < 1:
            raise SettingsError(f"dispatcher in_flight is {self.in_flight}; it must be 1 or more")
        if not 0 < self.backoff_first_s <= self.backoff_max_s:
            raise SettingsError(
                f"dispatcher backoff_first_s is {self.backoff_first_s}, backoff_max_s {self.backoff_max_s}; "
                "the first must be above 0 and no longer than the other"
            )
        for key in ("lossless_patience_s", "drain_s"):
            if getattr(self, key) < 0:
                raise SettingsError(f"dispatcher {key} is {getattr(self, key)}; it must be 0 seconds or more")


def _check_url(key: str, value: str | None) -> None:
    if value is None and key != "base_url":
        return
    try:
        url = URL(value or "")
        good = url.scheme in {"http", "https"} and bool(url.host) and not url.query_string and not url.fragment
    except ValueError:
        good = False
    if not good:
        raise SettingsError(f"recognizer {key} is {value!r}; it must look like http://127.0.0.1:8080")
