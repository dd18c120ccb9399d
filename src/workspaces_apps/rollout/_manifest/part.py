"""The ground of manifests and their parts: bad values given to a constructor are mistakes, whatever pydantic calls them."""

import difflib
from collections.abc import Iterator
from typing import get_args

from pydantic import BaseModel, ValidationError
from typing_extensions import TypeIs

from workspaces_apps.rollout._errors import ManifestError, Mistake
from workspaces_apps.rollout._manifest.file import Document
from workspaces_apps.rollout._manifest.yaml_file import Key


class Part(BaseModel, frozen=True):
    """A part of a manifest. Its constructor raises ManifestError; pydantic's own ways in raise ValidationError."""

    def __init__(self, /, **data: object) -> None:
        try:
            self.__pydantic_validator__.validate_python(data, self_instance=self)
        except ValidationError as error:
            mistakes = [
                mistake_of(detail["loc"], detail["type"], detail["msg"], None, root=type(self))
                for detail in error.errors(include_url=False, include_context=False, include_input=False)
            ]
            raise ManifestError(mistakes) from None

    # Without this mark pydantic would come back to __init__ for every part that it finds in a manifest.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]  # pydantic's own mark, as on BaseModel


def mistake_of(
    location: Key,
    kind: str,
    message: str,
    document: Document | None,
    *,
    root: type[BaseModel],
    raw: Key | None = None,
) -> Mistake:
    """Return a mistake in words.

    Args:
        location: The path of keys and places in lists.
        kind: What pydantic calls the mistake; may be empty.
        message: The mistake in pydantic's words, or in ours.
        document: The file, if it came from one.
        root: The model that the path begins in.
        raw: The path as the file has it, if that differs.
    """
    rules = {"missing": "is missing"}
    if kind == "extra_forbidden":
        rules[kind] = f"unknown key{_meant(location, root)}"
    if kind in ("too_short", "string_too_short") and " at least 1 " in message:
        rules[kind] = "must not be empty"
    key = ""
    for part in location:
        key += f"[{part}]" if isinstance(part, int) else f".{part}" if key else str(part)
    return Mistake(
        key=key,
        rule=rules.get(kind, message),
        file=str(document.path) if document is not None else None,
        line=document.line(raw or location) if document is not None else None,
    )


def _meant(location: Key, root: type[BaseModel]) -> str:
    """Return the question about the key that a misspelt one may mean; empty where none is spelt like it."""
    models: list[type[BaseModel]] = [root]
    *above, misspelt = location
    for part in above:
        if isinstance(part, str):
            fields = [model.model_fields[part] for model in models if part in model.model_fields]
            models = [model for one in fields for model in _models_in((one.annotation, *one.metadata))]
    known = {name for model in models for name in model.model_fields}
    near = difflib.get_close_matches(str(misspelt).lower(), sorted(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def models_of(root: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """Yield a model, and those of its fields, to any depth."""
    known = {root}
    left = [root]
    while left:
        model = left.pop()
        yield model
        for field_info in model.model_fields.values():
            found = set(_models_in((field_info.annotation, *field_info.metadata))) - known
            known |= found
            left += found


def _is_parts(value: object) -> TypeIs[tuple[object, ...]]:
    return isinstance(value, tuple)


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if _is_parts(annotation):
        for part in annotation:
            yield from _models_in(part)
        return
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    arguments: tuple[object, ...] = get_args(annotation)
    yield from _models_in(arguments)
