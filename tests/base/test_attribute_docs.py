"""Docstrings below attributes, as programs and JSON Schemas have them."""

import json
from dataclasses import dataclass

from pydantic import BaseModel, TypeAdapter

from workspaces_apps import AttemptRecord
from workspaces_apps._base.public import AttributesInSchema, attribute_docs, public
from workspaces_apps.rollout import Manifest, Policy, Skip


@public("workspaces_apps")
@dataclass(frozen=True, slots=True)
class Plain:
    """A record."""

    first: int
    """One line."""
    second: int = 0
    """Two lines, of which
    this is the second.
    """
    third: int = 0


class Read(AttributesInSchema, BaseModel):
    """A model."""

    one: int
    """A number."""


class Silent(Read):
    """A model without attributes of its own."""


class Undescribed(Read):  # noqa: D101 - as users' own may be
    two: int
    """Another."""


def test_texts_are_found_wherever_a_class_says_that_it_lives() -> None:
    """By the attributes' names, without the indentation of the source; what has no text is left out."""
    assert Plain.__module__ == "workspaces_apps"
    assert attribute_docs(Plain) == {
        "first": "One line.",
        "second": "Two lines, of which\nthis is the second.",
    }
    assert attribute_docs(AttemptRecord)["operation"] == "The API operation."
    assert attribute_docs(Silent) == {}


def test_a_class_from_elsewhere_has_none() -> None:
    """One of a module without source, and one that no module's body has."""

    class Inner:
        x = 1
        """A number."""

    assert attribute_docs(int) == {}
    assert attribute_docs(Inner) == {}


def test_the_schema_of_a_record_tells_of_its_attributes() -> None:
    """Those of dataclasses and models alike, also where one is a part of another."""
    plain = TypeAdapter(list[Plain]).json_schema()["$defs"]["Plain"]["description"]

    assert plain == (
        "A record.\n\nAttributes:\n    first: One line.\n    second: Two lines, of which\n        this is the second."
    )
    assert Read.model_json_schema()["description"] == "A model.\n\nAttributes:\n    one: A number."
    assert Undescribed.model_json_schema()["description"] == "Attributes:\n    two: Another."
    assert Silent.model_json_schema()["description"] == "A model without attributes of its own."


def test_the_schema_of_a_class_leaves_its_examples_out() -> None:
    """They are Python: whoever reads the schema of a policy writes a file, or another language."""
    description = TypeAdapter(Policy).json_schema()["description"]
    manifest = json.dumps(Manifest.json_schema())

    assert "\nAttributes:\n" in description
    assert ">>>" not in description + manifest + json.dumps(TypeAdapter(Skip).json_schema())
