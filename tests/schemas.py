"""JSON Schemas in tests, by the library `jsonschema`, which ships no types."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import cast

_library = importlib.import_module("jsonschema")

SchemaMistake = cast("type[Exception]", _library.ValidationError)
"""The error of a document that a schema does not take."""


def validate(document: Mapping[str, object], schema: Mapping[str, object]) -> None:
    """Check a document against a schema, which must be one of the 2020-12 dialect itself.

    Raises:
        SchemaMistake: The document does not fit.
    """
    check = cast("Callable[[object], None]", _library.Draft202012Validator.check_schema)
    check(schema)
    fits = cast("Callable[[object, object], None]", _library.validate)
    fits(document, schema)
