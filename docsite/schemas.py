"""The reference of manifests, policies and reports, made from their JSON Schemas."""

import json
from collections.abc import Iterator, Mapping
from typing import TypedDict, cast

from workspaces_apps.rollout import Manifest, Policy
from workspaces_apps.rollout.report._forms import json_schema as report_schema

Schema = TypedDict(
    "Schema",
    {
        "$ref": str,
        "$defs": dict[str, "Schema"],
        "additionalProperties": "bool | Schema",
        "anyOf": list["Schema"],
        "const": object,
        "default": object,
        "description": str,
        "enum": list[object],
        "items": "Schema",
        "oneOf": list["Schema"],
        "properties": dict[str, "Schema"],
        "required": list[str],
        "type": str,
    },
    total=False,
)
"""The keywords of JSON Schema that the pages tell of."""


def kind(schema: Schema) -> str:
    """Return the type that a schema describes, in a few words; a definition is a link to its heading."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "const" in schema:
        return f"`{json.dumps(schema['const'])}`"
    if "enum" in schema:
        return " or ".join(f"`{json.dumps(value)}`" for value in schema["enum"])
    either = schema.get("anyOf") or schema.get("oneOf")
    if either:
        return " or ".join(dict.fromkeys(kind(one) for one in either))
    if "items" in schema:
        return f"list of {kind(schema['items'])}"
    values = schema.get("additionalProperties")
    if isinstance(values, dict):
        return f"mapping to {kind(values)}"
    name = schema.get("type", "anything")
    return "nothing" if name == "null" else name


def bounds(schema: Mapping[str, object]) -> Iterator[str]:
    """Give the limits that a schema sets, each in words."""
    words = {
        "minimum": "at least",
        "maximum": "at most",
        "minLength": "characters at least",
        "maxLength": "characters at most",
        "minItems": "entries at least",
        "maxItems": "entries at most",
        "exclusiveMinimum": "above",
    }
    for key, word in words.items():
        if key in schema:
            yield f"{word} {schema[key]}"


def rows(schema: Schema) -> Iterator[str]:
    """Give a row of the table for each key of an object."""
    for key, described in schema.get("properties", {}).items():
        default = f"`{json.dumps(described['default'])}`" if "default" in described else ""
        if key in schema.get("required", []):
            default = "**required**"
        about = described.get("description", "").replace("\n", " ")
        limits = ", ".join(bounds(described))
        note = f"{about} ({limits})" if about and limits else about or limits
        cells = (f"`{key}`", kind(described), default, note)
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def table(schema: Schema) -> str:
    """Return the table of an object's keys, or the words for what is none."""
    about = schema.get("description", "").strip().partition("\n\nAttributes:")[0]
    if "properties" not in schema:
        return f"{about}\n\nOne of: {kind(schema)}\n"
    head = ("| key | type | default | meaning |", "| --- | --- | --- | --- |")
    return about + "\n\n" + "\n".join((*head, *rows(schema))) + "\n"


def page(title: str, about: str, schema: Schema) -> str:
    """Return the page of a schema: its own table, then one for each definition.

    Args:
        title: The heading.
        about: The sentences below it.
        schema: The JSON Schema.
    """
    text = f"# {title}\n\n{about}\n\n{table(schema)}"
    for name, definition in schema.get("$defs", {}).items():
        text += f"\n## {name}\n\n{table(definition)}"
    return text


def pages() -> dict[str, str]:
    """Return the pages of the schemas, and the schemas themselves, by their path."""
    described: dict[str, tuple[str, str, object]] = {
        "manifest": (
            "Manifest",
            "Keys of a manifest, in TOML, JSON or YAML. [Roll-outs](../rollouts.md) explains them.",
            Manifest.json_schema(),
        ),
        "policy": (
            "Policy",
            "Keys of a manifest's `[policy]`.",
            Policy.model_json_schema(),
        ),
        "report-json": (
            "Report as JSON",
            "Members of what `workspaces-apps report --output json` prints.",
            report_schema(),
        ),
    }
    found: dict[str, str] = {}
    for key, (title, about, schema) in described.items():
        download = f"The same as [JSON Schema]({key}.schema.json)."
        # pydantic types its schemas as a mapping of anything.
        found[f"reference/{key}.md"] = page(title, f"{about} {download}", cast("Schema", schema))
        found[f"reference/{key}.schema.json"] = json.dumps(schema, indent=1)
    return found
