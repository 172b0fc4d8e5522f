"""A feed into the catalog: read whole, judged, then applied; killed at any moment, the next run goes on from there.

1. reading: each page is kept beside the catalog, with the place to go on from.
2. The guard compares what was read with what the catalog has of this feed. A feed that is empty, that lost too many
   products or has too many entries that are none changes nothing; it is counted as an alarm.
3. applying: in transactions of 500 products.
4. removing: what the feed no longer names goes off sale; it stays known, so that its twin is not taken for it.
"""

import logging
import time
import uuid
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta
from sqlalchemy.orm import Session

from livecart.shop.database.store import Store
from livecart.shop.errors import FeedError, InvalidValue, StoreUnavailable
from livecart.shop.repositories import bulk, hosts
from livecart.shop.repositories.bulk import edit_of
from livecart.shop.repositories.product_rows import load_by_sku
from livecart.shop.schemas.product import Product, ProductChange, ProductPatch, check_patch, check_sku
from livecart.shop.sync import runs
from livecart.shop.sync.runs import LeaseLost, Run
from livecart.shop.sync.source import NO_VALIDATORS, Guard, Page, Source

_log = logging.getLogger(__name__)
_BATCH = 500
#: All pages of a feed.
_READ_WITHIN_S = 3600.0
#: Of a dry run's difference.
_MOST_SHOWN = 1000


@dataclass
class SyncStats:
    """Counted since the start, over all feeds. `alarms` are for somebody to look at."""

    done: int = 0
    unchanged: int = 0
    failed: int = 0
    refused: int = 0
    resumed: int = 0
    alarms: int = 0


class Difference(msgspec.Struct):
    """The changes that a sync would make. Lists end at 1,000 entries, the counts do not."""

    created: int = 0
    changed: int = 0
    removed: int = 0
    bad: int = 0
    created_skus: list[str] = []
    changes: list[ProductChange] = []
    removed_skus: list[str] = []
    refused: Annotated[str | None, Meta(description="Why the guard would change nothing, or the feed failed.")] = None


@dataclass(frozen=True, slots=True)
class Synced:
    """Outcome of a sync. `busy`: another process works at it."""

    outcome: Literal["done", "unchanged", "refused", "failed", "dry", "busy"]
    run: Run | None = None
    difference: Difference | None = None


class _Stopped(Exception):
    """The reading is to end here; the next start goes on with it."""


class Syncer:
    """Takes one feed in. One thread at a time; several processes may try, one works."""

    def __init__(
        self, store: Store, source: Source, *, guard: Guard | None = None, stats: SyncStats | None = None
    ) -> None:
        self.stats = stats or SyncStats()
        self._store = store
        self._source = source
        self._guard = guard or Guard()
        self._who = f"sync:{source.name}"
        self._lease = uuid.uuid4().hex
        self._is_stopping = False

    def stop(self) -> None:
        """End a reading soon, whatever it waits for; the next start goes on with it. From any thread."""
        self._is_stopping = True
        self._source.close()

    def sync_once(self, *, dry_run: bool = False) -> Synced:
        """Read the feed and take it in, or go on with what a killed run began.

        Never raises for the feed or the database: the outcome says it, the record and the log say why.
        """
        try:
            begin = runs.begin_dry if dry_run else runs.begin
            run = self._store.edit(self._who, lambda session: begin(session, self._source.name, self._lease))
            if run is None:
                return Synced("busy")
            return self._work(run, dry_run)
        except LeaseLost as error:
            _log.warning("sync of %s: %s", self._source.name, error)
            return Synced("busy")
        except StoreUnavailable as error:
            # Not ended: the run is there when the database is back.
            self.stats.failed += 1
            _log.warning("sync of %s goes on later: %s", self._source.name, error)
            return Synced("failed")

    def _work(self, run: Run, dry_run: bool) -> Synced:
        if run.cursor is not None or run.state in {"applying", "removing"}:
            self.stats.resumed += 1
            _log.info("sync of %s: goes on with run %d (%s)", self._source.name, run.id, run.state)
        try:
            if run.state in {"reading", "dry"}:
                if not self._read(run, dry_run):
                    self.stats.unchanged += 1
                    return Synced("unchanged", self._finish(run, "unchanged"))
                with self._store.read() as session:
                    refused = self._refused(session, run.id)
                if dry_run:
                    difference = self._difference(run.id, refused)
                    return Synced("dry", self._finish(run, "dry", refused), difference)
                if refused:
                    self.stats.refused += 1
                    self.stats.alarms += 1
                    _log.error("sync of %s refused, nothing was changed: %s", self._source.name, refused)
                    return Synced("refused", self._finish(run, "refused", refused))
                self._step(run.id, "applying", "")
            self._apply(run.id)
        except (FeedError, InvalidValue, _Stopped) as error:
            if self._is_stopping:
                self._let_go(run)
                return Synced("failed")
            self.stats.failed += 1
            self.stats.alarms += 1
            _log.error("sync of %s failed: %s", self._source.name, error)
            return Synced("failed", self._finish(run, "failed", str(error)))
        self.stats.done += 1
        return Synced("done", self._finish(run, "done"))

    def _read(self, run: Run, dry_run: bool) -> bool:
        """Keep all pages; False where the feed says that it is as it was."""
        validators = NO_VALIDATORS
        if run.cursor is None and not dry_run:
            with self._store.read() as session:
                validators = runs.last_validators(session, self._source.name)
        give_up_s = time.monotonic() + _READ_WITHIN_S
        for page in self._source.pages(run.cursor, validators):
            if page.unchanged:
                return False
            if time.monotonic() > give_up_s:
                raise FeedError("feed_too_slow", within_s=_READ_WITHIN_S)
            self._go_on()
            self._store.edit(self._who, lambda session, page=page: self._keep(session, run.id, page))  # type: ignore[misc]
        return True

    def _go_on(self) -> None:
        if self._is_stopping:
            raise _Stopped

    def _let_go(self, run: Run) -> None:
        def let_go(session: Session) -> None:
            runs.hold(session, run.id, self._lease).lease_until_s = 0.0

        self._store.edit(self._who, let_go)

    def _keep(self, session: Session, run_id: int, page: Page) -> None:
        """Entries that the catalog would not take are bad ones: found before anything is changed."""
        allowed = hosts.allowed(session)
        good: list[ProductPatch] = []
        bad, bad_skus = list(page.bad), list(page.bad_skus)
        for patch in page.patches:
            try:
                good.append(check_patch(patch, allowed_hosts=allowed, where=f"sku {patch.sku!r}"))
            except InvalidValue as error:
                bad.append(str(error))
                bad_skus.append(patch.sku)
        bad_skus = list(filter(_is_sku, bad_skus))
        kept = replace(page, patches=good, bad=bad, bad_skus=bad_skus)
        runs.keep_page(session, run_id, self._lease, kept)

    def _refused(self, session: Session, run_id: int) -> str | None:
        run = runs.get(session, run_id)
        entries = run.fetched + run.bad
        if entries and run.bad / entries > self._guard.most_bad_share:
            return f"{run.bad} of {entries} entries are none, such as {run.detail}"
        owned = runs.count_owned(session, self._source.name)
        if owned and not run.fetched:
            return f"the feed is empty; the catalog has {owned} products of it"
        gone = runs.count_missing(session, run_id, self._source.name)
        if owned >= self._guard.from_products and gone / owned > self._guard.most_missing_share:
            return f"{gone} of {owned} products are missing from the feed"
        return None

    def _apply(self, run_id: int) -> None:
        while self._store.edit(self._who, lambda session: self._apply_batch(session, run_id)):
            self._go_on()
        while self._store.edit(self._who, lambda session: self._remove_batch(session, run_id)):
            self._go_on()

    def _apply_batch(self, session: Session, run_id: int) -> bool:
        row = runs.hold(session, run_id, self._lease)
        if row.state != "applying":
            return False
        patches, last = runs.items_after(session, run_id, row.cursor or "", _BATCH)
        if last is None:
            row.state, row.cursor = "removing", None
            return True
        known = load_by_sku(session, [patch.sku for patch in patches])
        # A feed that only counts stock may name what the catalog has never heard of.
        complete = [patch for patch in patches if patch.sku in known or {"name", "url"} <= set(patch.given())]
        done = bulk.upsert(
            session, [_as_meant(patch, known.get(patch.sku)) for patch in complete], source=self._source.name
        )
        row.created += done.created
        row.changed += done.changed
        row.cursor = last
        return True

    def _remove_batch(self, session: Session, run_id: int) -> bool:
        row = runs.hold(session, run_id, self._lease)
        skus = runs.missing(session, run_id, self._source.name, _BATCH)
        if not skus:
            return False
        bulk.upsert(session, [ProductPatch(sku=sku, on_sale=False) for sku in skus])
        row.removed += len(skus)
        return True

    def _difference(self, run_id: int, refused: str | None) -> Difference:
        found = Difference(refused=refused)
        last = ""
        with self._store.read(consistent=True) as session:
            while True:
                patches, following = runs.items_after(session, run_id, last, _BATCH)
                if following is None:
                    break
                last = following
                before = load_by_sku(session, [patch.sku for patch in patches])
                for patch in patches:
                    known = before.get(patch.sku)
                    self._compare(found, _as_meant(patch, known), known)
            found.removed = runs.count_missing(session, run_id, self._source.name)
            found.removed_skus = runs.missing(session, run_id, self._source.name, _MOST_SHOWN)
            found.bad = runs.get(session, run_id).bad
        return found

    @staticmethod
    def _compare(found: Difference, patch: ProductPatch, before: Product | None) -> None:
        if before is None:
            if {"name", "url"} <= set(patch.given()):
                found.created += 1
                if len(found.created_skus) < _MOST_SHOWN:
                    found.created_skus.append(patch.sku)
            return
        change = edit_of(patch, before).change
        if change is not None and change.after:
            found.changed += 1
            if len(found.changes) < _MOST_SHOWN:
                found.changes.append(change)

    def _step(self, run_id: int, state: runs.RunState, cursor: str) -> None:
        def step(session: Session) -> None:
            row = runs.hold(session, run_id, self._lease)
            row.state, row.cursor = state, cursor

        self._store.edit(self._who, step)

    def _finish(self, run: Run, state: runs.RunState, detail: str | None = None) -> Run:
        return self._store.edit(
            self._who, partial(runs.finish, run_id=run.id, lease=self._lease, state=state, detail=detail)
        )


def _is_sku(sku: str) -> bool:
    try:
        return check_sku(sku) == sku
    except InvalidValue:
        return False


def _as_meant(patch: ProductPatch, before: Product | None) -> ProductPatch:
    """A product that a feed names is on sale, unless the feed says otherwise; its variants say price and stock."""
    if patch.on_sale is UNSET:
        patch = msgspec.structs.replace(patch, on_sale=True)
    if before is not None and before.variants and patch.variants is UNSET:
        patch = msgspec.structs.replace(patch, price=UNSET, stock=UNSET, sale_price=UNSET)
    elif patch.variants:
        patch = msgspec.structs.replace(patch, sale_price=UNSET)
    return patch
