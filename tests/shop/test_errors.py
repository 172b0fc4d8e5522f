"""Errors of the catalog: every one that is raised has a reason of the table, and both of its texts."""

import ast
import re
from string import Formatter
from typing import get_args

from contract.links import LinkCode, LinkFault
from livecart.shop import errors
from livecart.shop.errors import TABLE, Conflict, FeedError, InvalidValue, NotFound
from tests.conftest import ROOT

#: Whose reasons they take; LeaseLost is of sync runs, PlatformRefused and AnswerUnclear of platforms' answers.
KINDS = {
    **{each.__name__: each.kind for each in errors.CatalogError.__subclasses__()},
    "LeaseLost": "unavailable",
    "PlatformRefused": "bad_file",
    "AnswerUnclear": "bad_file",
}
REASONS = {reason: texts for reasons in TABLE.values() for reason, texts in reasons.items()}
#: Beside a reason's own.
ARGUMENTS = {"where", "theirs", "yours"}


def parameters(text):
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def raised():
    """(place, class, its reason as written, names of its parameters) of every error that the catalog's code makes."""
    for folder in ("shop", "server", "cli"):
        for path in sorted((ROOT / "livecart" / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in KINDS:
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", node


MADE = list(raised())


def test_an_error_is_a_reason_of_its_kind_with_the_parameters_of_its_texts():
    for place, call in MADE:
        name = call.func.id
        reason = call.args[1 if name == "InvalidValue" else 0]
        if ast.unparse(call).endswith(", fault.code, value=fault.value)"):
            # A link's: below.
            continue
        assert isinstance(reason, ast.Constant), f"{place}: a reason is written out, so that it can be found"
        assert reason.value in TABLE[KINDS[name]], place
        given = {keyword.arg for keyword in call.keywords} - ARGUMENTS
        assert given == parameters(REASONS[reason.value][1]), place


def test_both_texts_have_the_same_parameters():
    for reason, (chinese, english) in REASONS.items():
        assert parameters(chinese) == parameters(english), reason
        assert chinese != english, reason


def test_every_reason_is_used_and_stands_in_the_table_once():
    used = {node.value for _, call in MADE for node in ast.walk(call) if isinstance(node, ast.Constant)}
    assert set(REASONS) - used == set(get_args(LinkCode))
    assert len(REASONS) == sum(map(len, TABLE.values()))


def test_a_link_is_refused_in_the_words_of_the_contract():
    for code in get_args(LinkCode):
        fault = LinkFault(code, "x")
        assert InvalidValue("url", fault.code, value=fault.value).text() == str(fault)
        assert parameters(REASONS[code][1]) <= {"value"}


def test_an_error_names_the_place_the_field_and_the_value():
    error = InvalidValue("stock", "out_of_range", where="goods.csv: row 3", value=-1, least=0, most=5)
    assert str(error) == "goods.csv: row 3: stock: -1 is not between 0 and 5"
    assert (error.text(), error.text("zh")) == ("-1 is not between 0 and 5", "-1 不在 0 到 5 之间")
    assert str(FeedError("url_missing", where="links.json")) == "links.json: has no url"
    assert str(NotFound("no_product", sku="7")) == "no product has sku '7'"
    assert str(Conflict("room_changed", theirs=None, yours={}, name="r")).startswith("room 'r' was changed")


def test_the_page_of_the_api_lists_every_reason_that_clients_are_told():
    rows = [
        f"| `{reason}` | {', '.join(f'`{name}`' for name in sorted(parameters(text)))} | {text.replace('!r}', '}')} |"
        for kind in ("invalid_value", "not_found", "conflict", "bad_file")
        for reason, (_, text) in TABLE[kind].items()
    ]
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    table = re.search(r"\| `reason` \| `params` \| English \|\n\|---\|---\|---\|\n((?:\|.*\n)*)", page)
    assert table[1].splitlines() == rows
