"""Tokens and idempotency keys."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select

from livecart.shop.errors import Conflict, InvalidValue, NotFound
from livecart.shop.models.service import TokenRow
from livecart.shop.repositories import idempotency, products, tokens
from tests.shop.catalog_stores import patch


def issue(store, role="edit", **options):
    with store.write("admin") as session:
        return tokens.issue(session, "shop floor", role, **options)


def check(store, token):
    with store.read() as session:
        return tokens.check(session, token)


def test_a_token_opens_until_it_is_revoked(store):
    token, info = issue(store)
    assert check(store, token) == info
    assert check(store, token + "x") is None
    assert check(store, "") is None
    with store.write("admin") as session:
        tokens.revoke(session, info.id)
    assert check(store, token) is None
    with store.read() as session:
        assert [entry.revoked_at_s is not None for entry in tokens.every(session)] == [True]


def test_a_token_ends_with_its_lifetime(store, clock):
    token, _ = issue(store, lifetime_s=60)
    clock.pass_s(59)
    assert check(store, token) is not None
    clock.pass_s(1)
    assert check(store, token) is None


def test_the_token_itself_is_nowhere(store):
    token, _ = issue(store)
    with store.read() as session:
        row = session.scalar(select(TokenRow))
        assert token not in str(vars(row))


@pytest.mark.parametrize(("role", "may"), [("read", [1, 0, 0]), ("edit", [1, 1, 0]), ("admin", [1, 1, 1])])
def test_each_role_may_what_lower_ones_may(store, role, may):
    _, info = issue(store, role)
    assert [info.may(asked) for asked in tokens.ROLES] == [bool(answer) for answer in may]


def test_what_cannot_be_a_token_is_refused(store):
    with pytest.raises(InvalidValue, match="role"):
        issue(store, "root")
    with pytest.raises(NotFound), store.write("admin") as session:
        tokens.revoke(session, 99)


def create_once(store, key, request=b"create 1001", who="api"):
    with store.write(who) as session:
        answered = idempotency.begin(session, key, request)
        if answered is not None:
            return answered.body
        products.create(session, patch("1001"))
        idempotency.finish(session, key, request, status=201, body=b"made")
        return b"made"


def test_the_same_request_again_gets_the_same_answer(store):
    assert create_once(store, "k1") == b"made"
    assert create_once(store, "k1") == b"made"
    with pytest.raises(Conflict, match="another request"):
        create_once(store, "k1", b"create 1002")
    with pytest.raises(Conflict, match="taken"):
        create_once(store, "k1", who="somebody else")
    with pytest.raises(InvalidValue):
        create_once(store, "")


def test_the_same_request_at_the_same_moment_is_done_once(store):
    start = threading.Barrier(6)

    def ask(_):
        start.wait()
        for _attempt in range(20):
            try:
                return create_once(store, "k1")
            except Conflict:
                continue
        return None

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(ask, range(6))) == [b"made"] * 6
    with store.read() as session:
        assert products.get(session, "1001").version == 1
