"""The API's OpenAPI: described and with examples; and requests made up from it never meet a fault of ours.

LIVECART_API_EXAMPLES=500 makes up more of them.
"""

import os

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import checks
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from sqlalchemy import update

from livecart.shop.api import ApiStats
from livecart.shop.api.gate import ROLE
from livecart.shop.database.store import open_store
from livecart.shop.models.service import TokenRow
from livecart.shop.repositories import cards, products, reviews
from tests.shop.api_clients import app_of, client_of, service_of, serving, token_of
from tests.shop.catalog_stores import allow_shop, empty_tables, patch
from tests.shop.conftest import DATABASES
from tests.shop.photo_files import photo
from tests.shop.test_api_records import make_card

EXAMPLES = int(os.environ.get("LIVECART_API_EXAMPLES", "8"))
CHECKS = [
    checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module", params=DATABASES)
def served(request, tmp_path_factory):
    """A catalog with something in it, served; its URL, its token and its OpenAPI."""
    folder = tmp_path_factory.mktemp("served")
    if request.param == "sqlite":
        (folder / "catalog.db").write_bytes(request.getfixturevalue("_sqlite_file").read_bytes())
        store = open_store(f"sqlite:///{folder / 'catalog.db'}")
    else:
        store = open_store(request.getfixturevalue("_mysql_url"))
        empty_tables(store)
    allow_shop(store)
    service = service_of(store, folder)
    with store.write("test") as session:
        products.create(session, patch("1001", stock=3))
        cards.record(session, make_card("0123456789abcdef", "room-1", 1000.0))
        reviews.submit(session, service.crops, photo(1), reason="low_margin", room="room-1", sku="1001")
    stats = ApiStats()
    app = app_of(service, stats=stats)
    token = token_of(store, "admin")
    with store.write("test") as session:
        # Out of reach of made-up numbers: nobody is to revoke it.
        session.execute(update(TokenRow).values(id=2**40))
    with serving(app) as url:
        yield url, token, client_of(app, token).get("openapi.json").json(), stats
    service.cache.close()
    store.close()


OPERATIONS = [
    "GET /products", "POST /products", "POST /products/bulk", "GET /products/{sku}", "PATCH /products/{sku}",
    "DELETE /products/{sku}", "GET /products/{sku}/photos", "POST /products/{sku}/photos",
    "PUT /products/{sku}/photos/order", "DELETE /products/{sku}/photos/{digest}", "GET /photos/{digest}",
    "GET /products/{sku}/negatives", "GET /products/{sku}/negatives/{digest}",
    "DELETE /products/{sku}/negatives/{digest}",
    "GET /rooms", "PUT /rooms/{room}", "DELETE /rooms/{room}", "GET /rooms/{room}/products",
    "PUT /rooms/{room}/products", "POST /stock/confirm", "PUT /stock/{sku}", "GET /cards", "GET /cards/{card_id}",
    "GET /rooms/{room}/chapters",
    "POST /viewer-events", "GET /figures/products", "GET /figures/rooms", "GET /reviews",
    "GET /reviews/{review_id}/crop", "POST /reviews/{review_id}/decision", "GET /hosts", "PUT /hosts/{host}",
    "DELETE /hosts/{host}", "GET /feeds", "POST /feeds/{name}/dry-run", "POST /tables", "GET /catalog.csv",
    "GET /product_links.json", "PUT /product_links.json", "GET /tokens", "POST /tokens", "DELETE /tokens/{token_id}",
    "GET /audit",
]  # fmt: skip


def operations_of(openapi):
    return {
        f"{method.upper()} {path.removeprefix('/catalog/v1')}": operation
        for path, methods in openapi["paths"].items()
        for method, operation in methods.items()
    }


def test_every_operation_is_listed_here(served):
    assert sorted(operations_of(served[2])) == sorted(OPERATIONS)


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_is_described_with_examples(served, name):
    openapi = served[2]
    operation = operations_of(openapi)[name]
    assert operation["description"]
    assert operation[ROLE] in {"read", "edit", "admin"}
    assert operation["security"] == [{"token": []}]
    for status, answer in operation["responses"].items():
        content = answer.get("content", {}).get("application/json")
        if content and "$ref" in content["schema"]:
            assert has_example(openapi, content["schema"]), status
    body = operation.get("requestBody", {}).get("content", {}).get("application/json")
    assert body is None or "example" in body or has_example(openapi, body["schema"])


def has_example(openapi, schema):
    """Whether the schema, or each of its parts that must be there, shows what it looks like."""
    if "$ref" in schema:
        schema = openapi["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    if {"example", "examples", "const", "enum"} & set(schema) or schema.get("type") in {"boolean", "null"}:
        return True
    if "anyOf" in schema:
        return True
    if schema.get("type") == "array":
        return has_example(openapi, schema["items"])
    parts = [schema["properties"][part] for part in schema.get("required", [])]
    return any(has_example(openapi, part) for part in parts) if parts else schema.get("type") == "object"


@pytest.mark.parametrize("name", OPERATIONS)
def test_made_up_requests_meet_no_fault_of_ours(served, name):
    url, token, openapi, stats = served
    schema = schemathesis.openapi.from_dict(openapi)
    schema.config.update(base_url=url)
    schema.config.generation.update(with_security_parameters=False)
    method, path = name.split(" ")
    operation = schema[f"/catalog/v1{path}"][method]

    @given(case=operation.as_strategy() | operation.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE))
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def ask(case):
        # A made-up token would only ever be told 401; one that works must not be revoked by chance.
        case.headers = {key: value for key, value in (case.headers or {}).items() if key.lower() != "authorization"}
        answer = case.call(base_url=url, headers={"Authorization": f"Bearer {token}"})
        # What is no HTTP (a Content-Length of letters) is uvicorn's to refuse.
        if answer.content != b"Invalid HTTP request received.":
            case.validate_response(answer, checks=CHECKS)

    ask()
    assert stats.failures == 0
