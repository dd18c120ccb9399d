"""The report as a JSON document, and its JSON Schema.

The version of the format grows only when a member goes away or changes its meaning; members may be added any time.
"""

import json
from dataclasses import dataclass
from typing import Final, Literal

from pydantic import TypeAdapter

from workspaces_apps.rollout.report._report import Report

FORMAT: Final = 1
"""The version of the format that this release writes."""


@dataclass(frozen=True, kw_only=True)
class Document(Report):
    """A report as JSON. Times are ISO 8601 in UTC, lengths of time seconds; what is unknown is null.

    Attributes:
        document: What this is.
        format: The version of the format.
    """

    document: Literal["workspaces-apps rollout report"] = "workspaces-apps rollout report"
    format: Literal[1] = FORMAT


_DOCUMENT: Final[TypeAdapter[Document]] = TypeAdapter(Document)


def document(report: Report) -> str:
    """The report as one JSON document, in ASCII, with a line break at its end."""
    fields = {name: getattr(report, name) for name in Report.__dataclass_fields__}
    whole = _DOCUMENT.dump_python(Document(**fields), mode="json")
    first = ("document", "format")
    ordered = {name: whole[name] for name in (*first, *(name for name in whole if name not in first))}
    return json.dumps(ordered, indent=1, allow_nan=False) + "\n"


def json_schema() -> dict[str, object]:
    """The JSON Schema (2020-12) of what `Report.to_json` gives."""
    schema = _DOCUMENT.json_schema(mode="serialization")
    required = ["document", "format", *Report.__dataclass_fields__]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "required": required}
