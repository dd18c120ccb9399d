"""The type of points in time in what pydantic makes schemas of."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, TypeAlias

if TYPE_CHECKING:
    Datetime: TypeAlias = datetime
else:
    # In frozen time the name `datetime` stands for a subclass of freezegun's, which pydantic does not know. The
    # annotation keeps freezegun from replacing the alias as well.
    Datetime = Annotated[
        next(base for base in datetime.__mro__ if base.__module__ == "datetime"), "a point in time"
    ]
