"""The contract as JSON Schema (docs/schema/) and as the viewer's TypeScript, for `make docs`."""

import inspect
import json
from pathlib import Path
from typing import Any

import msgspec

from contract.card import CardClosed, CardEvent
from contract.catalog import CatalogDocument
from contract.errors import ErrorBody
from contract.reply import Reply

ROOT = Path(__file__).resolve().parents[1]
_SCHEMAS: dict[str, type[msgspec.Struct]] = {
    "reply": Reply,
    "error": ErrorBody,
    "card-event": CardEvent,
    "card-closed": CardClosed,
}
_DIALECT = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
_TYPESCRIPT = ROOT / "viewer" / "src" / "model" / "contract.ts"
_HEADER = "/** Written by `make docs` from contract/card.py: change it there. */\n"


def contract_files() -> dict[Path, str]:
    """Every file that is made from the contract, with its text."""
    schemas = {name: schema_of(kind) for name, kind in _SCHEMAS.items()}
    # People write it: what they may leave out is not required.
    schemas["catalog"] = {**_DIALECT, **msgspec.json.schema(CatalogDocument)}
    files = {
        ROOT / "docs" / "schema" / f"{name}.json": json.dumps(schema, ensure_ascii=False, indent=1) + "\n"
        for name, schema in schemas.items()
    }
    return files | {
        _TYPESCRIPT: _HEADER + "".join(_interface(each) for each in schemas["card-event"]["$defs"].values())
    }


def schema_of(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """JSON Schema of what is sent: a key is required unless it is left out at its default."""
    (top,), definitions = msgspec.json.schema_components([kind])
    for each in _structs(kind):
        definition = definitions[each.__name__]
        definition["required"] = [
            field.encode_name
            for field in msgspec.structs.fields(each)
            if not each.__struct_config__.omit_defaults or field.default is msgspec.NODEFAULT
        ]
        for key in definition["properties"].values():
            key.pop("default", None)
        definition["description"] = inspect.cleandoc(definition["description"])
    return {**_DIALECT, **top, "$defs": definitions}


def _structs(kind: type[msgspec.Struct]) -> set[type[msgspec.Struct]]:
    """The struct and those that its fields hold."""
    found: set[type[msgspec.Struct]] = set()

    def visit(info: Any) -> None:
        if isinstance(info, msgspec.inspect.StructType):
            if info.cls in found:
                return
            found.add(info.cls)
            for field in info.fields:
                visit(field.type)
        for inner in (getattr(info, "item_type", None), *getattr(info, "types", ()), *getattr(info, "item_types", ())):
            visit(inner) if inner is not None else None
        if isinstance(info, msgspec.inspect.Metadata):
            visit(info.type)

    visit(msgspec.inspect.type_info(kind))
    return found


def _interface(schema: dict[str, Any]) -> str:
    lines = [f"\nexport interface {schema['title']} {{\n"]
    for name, key in schema["properties"].items():
        if "description" in key:
            lines.append(f"  /** {key['description']} */\n")
        optional = "" if name in schema["required"] else "?"
        lines.append(f"  readonly {name}{optional}: {_typescript(key)}\n")
    return "".join([f"\n/**\n{_comment(schema['description'])} */", *lines, "}\n"])


def _comment(text: str) -> str:
    return "".join(f" * {line}".rstrip() + "\n" for line in text.splitlines())


def _typescript(schema: dict[str, Any]) -> str:
    """The type of a value; names and numbers as TypeScript writes them."""
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if "anyOf" in schema:
        return " | ".join(_typescript(each) for each in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(json.dumps(value).replace('"', "'") for value in schema["enum"])
    if "prefixItems" in schema:
        return f"readonly [{', '.join(_typescript(each) for each in schema['prefixItems'])}]"
    if schema["type"] == "array":
        inner = _typescript(schema["items"])
        return f"readonly ({inner})[]" if " " in inner else f"readonly {inner}[]"
    return {"integer": "number", "number": "number", "string": "string", "boolean": "boolean", "null": "null"}[
        schema["type"]
    ]
