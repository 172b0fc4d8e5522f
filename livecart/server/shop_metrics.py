"""Prometheus metrics of the catalog; docs/catalog-service.md has the table. Every name begins with `livecart_catalog_`.

The catalog's parts count for themselves; they are read when Prometheus asks.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from livecart.server.card_log import CardLog
from livecart.server.shop_jobs import CatalogJobs
from livecart.shop.api import ApiStats
from livecart.shop.service import CatalogService
from livecart.shop.webhooks.sender import WebhookSender

_PREFIX = "livecart_catalog_"


class CatalogCollector(Collector):
    """Counters of store, cache, publisher, feeds, retention and the record of cards."""

    def __init__(
        self,
        service: CatalogService,
        jobs: CatalogJobs,
        log: CardLog,
        *,
        api: ApiStats,
        links: Mapping[str, int],
        webhooks: WebhookSender,
    ) -> None:
        self._service = service
        self._jobs = jobs
        self._log = log
        self._api = api
        self._links = links
        self._webhooks = webhooks

    def collect(self) -> Iterator[Metric]:
        yield _by(
            "cache", "Hits, misses and failures of the availability cache", "what", asdict(self._service.cache.stats)
        )
        yield _by("store", "Hits, misses and failures of the database", "what", asdict(self._service.store.stats))
        yield _by(
            "card_records",
            "Events of cards: `kept`, `dropped`, `refused`; `failures`, after which they are tried again",
            "what",
            asdict(self._log.stats),
        )
        yield GaugeMetricFamily(
            f"{_PREFIX}card_records_waiting", "Events of cards not written yet", value=self._log.waiting
        )
        yield _by(
            "images",
            "Pictures of feeds: `kept`, `held` for a person, `unchanged`, `refused`, `retried` later, `crashes`",
            "what",
            asdict(self._jobs.images.stats),
        )
        yield _by("purged", "Rows and files deleted because they were old", "what", self._jobs.purged)
        api = {"answered": self._api.answered, "replayed": self._api.replayed, "failures": self._api.failures}
        yield _by("api_requests", "Requests of the API", "what", api)
        yield _by("api_refused", "Requests that the API refused", "code", dict(self._api.refused))
        yield _by(
            "links",
            "Links through /go `followed`, and `uncounted` of these; orders `kept`, `known` already, or of `no_card`; "
            "requests of both `refused`",
            "what",
            dict(self._links),
        )
        yield _by(
            "webhooks",
            "Webhooks: `delivered`, tries that `failed`, `given_up` and `collapsed` of the live class, `dead` "
            "letters of records, endpoints `disabled`, `database_failures`",
            "what",
            asdict(self._webhooks.stats),
        )
        gauges = GaugeMetricFamily(
            f"{_PREFIX}webhooks_now",
            "Deliveries that wait (`live`, `record`), `dead` letters, endpoints `disabled`. Alert on the last two",
            labels=["what"],
        )
        for what, count in self._webhooks.gauges.items():
            gauges.add_metric([what], count)
        yield gauges
        yield from self._feeds()
        yield from self._snapshots()

    def _feeds(self) -> Iterator[Metric]:
        runs = CounterMetricFamily(
            f"{_PREFIX}feed_runs", 'Readings of feeds. Alert on `outcome="alarms"`', labels=["feed", "outcome"]
        )
        for feed, stats in self._jobs.sync_stats.items():
            for outcome, count in asdict(stats).items():
                runs.add_metric([feed, outcome], count)
        yield runs
        crashes = self._jobs.schedule.stats.crashes
        yield CounterMetricFamily(f"{_PREFIX}feed_crashes", "Faults of ours while feeds were read", value=crashes)

    def _snapshots(self) -> Iterator[Metric]:
        publisher = self._service.publisher
        if publisher is None:
            return
        stats = publisher.stats
        yield CounterMetricFamily(f"{_PREFIX}snapshots_published", "Snapshots published", value=stats.published)
        yield CounterMetricFamily(f"{_PREFIX}snapshot_failures", "Builds that failed", value=stats.failures)
        for name, what, value in (
            ("snapshot_left_out_products", "Products left out of the last snapshot", stats.left_out_products),
            (
                "snapshot_lost_photos",
                "Photos left out of the last snapshot since their files are lost. Alert on it",
                stats.lost_photos,
            ),
            ("snapshot_build_seconds", "Time of the last build", stats.last_build_s),
            (
                "snapshot_failing",
                "1 while the last build, or the last writing of offers, has failed. Alert on it",
                float(bool(stats.last_error or stats.offers_error)),
            ),
        ):
            yield GaugeMetricFamily(f"{_PREFIX}{name}", what, value=value)


def _by(name: str, what: str, label: str, counts: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(f"{_PREFIX}{name}", what, labels=[label])
    for key, count in counts.items():
        family.add_metric([key], count)
    return family
