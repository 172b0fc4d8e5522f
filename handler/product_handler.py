"""TorchServe's entry into the archive: glue only, everything that recognises is in ``recognition``.

The module defines exactly one class and no function ``handle``, because that is how TorchServe finds the entry. A
plain class is enough for it, and TorchServe's own handlers would bring dependencies that nothing here needs.
"""

import json
import logging
import sys
import time
from collections import Counter
from pathlib import Path

import msgspec
from ts.metrics.metric_cache_errors import MetricsCacheKeyError
from ts.metrics.metric_type_enum import MetricTypes

from contract.errors import encode_error
from contract.reply import encode
from follow.cache import shared_cache_folder
from follow.follower import SnapshotFollower
from follow.offers import OffersFollower
from recognition import errors, recognizer, settings
from recognition.network import artifact
from recognition.request import forms

logger = logging.getLogger(__name__)

JSON = "application/json; charset=utf-8"
#: Metrics of ``metrics.yaml`` that this handler emits, with their dimensions there.
HISTOGRAMS = (
    "livecart_decode_seconds",
    "livecart_network_seconds",
    "livecart_keypoints_seconds",
    "livecart_text_seconds",
    "livecart_match_seconds",
    "livecart_batch_seconds",
    "livecart_batch_size",
)
IMAGES = "livecart_images_total"
TEXTS_READ = "livecart_texts_read_total"
CATALOG_EVENTS = "livecart_catalog_events_total"


class ProductHandler:
    """Answers batches of predictions. The contract is ``docs/http.md``."""

    def initialize(self, context):
        """Load and warm up the model. TorchServe calls the worker READY only after this returns."""
        _forget_stand_in()
        properties = context.system_properties
        self._settings = settings.parse_settings(context.model_yaml_config or {})
        self._recognizer = recognizer.Recognizer.from_folder(
            Path(properties["model_dir"]),
            self._settings,
            name=context.model_name,
            version=context.manifest["model"]["modelVersion"],
            gpu_id=properties.get("gpu_id"),
        )
        self._register_metrics(context.metrics)
        self._follow_catalog(context, Path(properties["model_dir"]))
        self._recognizer.warm_up(properties.get("batch_size") or 1)
        self._log("ready", **msgspec.to_builtins(self._recognizer.describe()))
        for product in self._recognizer.matcher.unreachable:
            self._log("no_label_leads_to_product", sku=product.sku, name=product.name)

    def handle(self, data, context):
        """One body for each item of ``data``, in order; a failed item gets its own status and never raises."""
        started = time.perf_counter()
        headers = [context.get_all_request_header(index) for index in range(len(data))]
        # TorchServe marks these requests by a header and expects the handler to look; each item for itself, because
        # a client can send the header with a prediction, and its neighbours in the batch did not.
        described = [_flag(item, "describe") for item in headers]
        parsed = [
            self._parse(fields, item, described=is_describe)
            for fields, item, is_describe in zip(data, headers, described, strict=True)
        ]
        predictions = [item for item, is_describe in zip(parsed, described, strict=True) if not is_describe]
        result = self._recognizer.recognize(predictions)
        answers = iter(result.replies)
        bodies = [
            self._describe(context, index) if is_describe else self._answer(next(answers), context, index)
            for index, is_describe in enumerate(described)
        ]
        if predictions:
            self._measure(context.model_name, result, time.perf_counter() - started)
        return bodies

    def _parse(self, fields, headers, *, described):
        if described:
            return None
        if _flag(headers, "explain"):
            return errors.NotOffered("explanations are not offered; use /predictions")
        try:
            return forms.parse_request(
                fields, headers, top_k=self._settings.top_k, thresholds=self._settings.thresholds
            )
        except errors.RecognitionError as error:
            return error
        except Exception:
            logger.exception("a request could not be read")
            return errors.InternalError("the request could not be read; the server's log says why")

    def _describe(self, context, index):
        context.set_response_content_type(index, JSON)
        return msgspec.json.encode(self._recognizer.describe())

    def _answer(self, answer, context, index):
        context.set_response_content_type(index, JSON)
        if not isinstance(answer, errors.RecognitionError):
            return encode(answer)
        # The phrase must be ASCII: TorchServe counts its characters where it should count bytes.
        context.set_response_status(answer.status, answer.code, index)
        return encode_error(answer.code, answer.message)

    def _follow_catalog(self, context, folder):
        """Take over the catalog's snapshot and each later one, in a thread that no request waits for."""
        model = context.model_name

        def on_event(outcome, message):
            self._log("catalog", outcome=outcome, message=message)
            self._catalog_events.add_or_update(1, [model, outcome])

        source, cache_folder = self._settings.catalog.source, shared_cache_folder(self._recognizer.fingerprint)
        if source is not None:
            self._offers_follower = OffersFollower(
                source,
                cache_folder=cache_folder,
                on_offers=self._recognizer.use_offers,
                on_event=on_event,
                poll_s=self._settings.catalog.poll_s,
            )
            self._offers_follower.start()
        self._follower = SnapshotFollower(
            source,
            builtin=folder / artifact.SNAPSHOT_FILE,
            cache_folder=cache_folder,
            open=self._recognizer.open_catalog,
            on_change=self._recognizer.use_catalog,
            on_event=on_event,
            poll_s=self._settings.catalog.poll_s,
        )
        self._follower.start()

    def _register_metrics(self, metrics):
        """Fetch the metrics; a server started without our metrics.yaml must still answer, only unmeasured."""
        self._histograms = {name: _metric(metrics, name, MetricTypes.HISTOGRAM, ["ModelName"]) for name in HISTOGRAMS}
        self._images = _metric(metrics, IMAGES, MetricTypes.COUNTER, ["ModelName", "Outcome"])
        self._texts_read = _metric(metrics, TEXTS_READ, MetricTypes.COUNTER, ["ModelName"])
        self._catalog_events = _metric(metrics, CATALOG_EVENTS, MetricTypes.COUNTER, ["ModelName", "Outcome"])

    def _measure(self, model, result, whole_s):
        """One line a batch and stage, because TorchServe reads every figure from the worker's output."""
        values = (
            result.seconds.decode,
            result.seconds.network,
            result.seconds.keypoints,
            result.seconds.text,
            result.seconds.match,
            whole_s,
            len(result.replies),
        )
        for name, value in zip(HISTOGRAMS, values, strict=True):
            self._histograms[name].add_or_update(value, [model])
        if result.texts_read:
            self._texts_read.add_or_update(result.texts_read, [model])
        outcomes = Counter(getattr(answer, "code", "ok") for answer in result.replies)
        for outcome, count in outcomes.items():
            self._images.add_or_update(count, [model, outcome])

    def _log(self, event, **fields):
        logger.info(json.dumps({"event": event, **fields}, ensure_ascii=True))


def _forget_stand_in():
    """From now on ``import torch`` is torch, which a GPU needs: see ``worker_start.py``."""
    if getattr(sys.modules.get("torch"), "__spec__", None) is None:
        sys.modules.pop("torch", None)


def _flag(headers, name):
    return any(key.lower() == name and value == "True" for key, value in headers.items())


def _metric(metrics, name, kind, dimensions):
    try:
        return metrics.get_metric(name, kind)
    except MetricsCacheKeyError:
        return metrics.add_metric_to_cache(name, "unit", dimensions, kind)
