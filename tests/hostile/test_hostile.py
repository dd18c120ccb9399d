"""A short form of the hostile campaign; `nox -s hostile` runs the whole of it."""

import os
import random
from typing import Final

from tests.hostile.answers import kinds
from tests.hostile.calls import ANSWERS, CALLS
from tests.hostile.campaign import attack
from tests.hostile.files import attack_files
from workspaces_apps.api import founding

SEED: Final = int(os.environ.get("WORKSPACES_HOSTILE_SEED", "7"))


def test_the_campaign_is_as_wide_as_it_says() -> None:
    """150 kinds of answers and more, each of its own name, and every founding operation."""
    names = [kind.name for kind in kinds()]
    founded = {name.removesuffix("Request") for name in founding.__all__ if name.endswith("Request")}

    assert len(names) == len(set(names)) >= 150
    assert CALLS.keys() == ANSWERS.keys()
    assert CALLS.keys() <= founded


async def test_every_kind_of_answer_ends_as_it_should() -> None:
    """Each with one operation: the right value, or an error of its kind, within its time."""
    chance = random.Random(SEED)
    operations = sorted(CALLS)

    wrong = await attack([(kind, chance.choice(operations)) for kind in kinds()])

    assert wrong == []


def test_spoilt_files_are_refused() -> None:
    """Whatever has become of a file, it is read or refused, with an error of this package."""
    found = attack_files(300, SEED)

    assert found.wrong == []
    assert found.endings.total() == 300
