"""Names of applications that mean none: what is said instead, and how much of it."""

import pytest

from workspaces_apps.api.applications import WorkSpaceApplication
from workspaces_apps.rollout import ApplicationRef, Rule
from workspaces_apps.rollout._plan.reading import Catalogue, UnresolvedError

NAMES = (
    *(f"Contoso Tool {number}" for number in range(20)),
    "Microsoft Office LTSC Standard 2021",
    "Microsoft Office Standard 2019",
    "Microsoft Visio LTSC Standard 2021",
    "Mozilla Firefox",
)

CATALOGUE = Catalogue(
    [
        WorkSpaceApplication(application_id=f"wsa-{number:08}", name=name, owner="AMAZON")
        for number, name in enumerate(NAMES)
    ]
)


@pytest.mark.parametrize(
    "typed, nearest",
    [
        ("Firefoks", "Mozilla Firefox"),
        ("microsft ofice 2021", "Microsoft Office LTSC Standard 2021"),
        ("Visio 2022", "Microsoft Visio LTSC Standard 2021"),
        ("Office Standard 2020", "Microsoft Office LTSC Standard 2021"),
    ],
)
def test_the_nearest_name_comes_first(typed: str, nearest: str) -> None:
    """Of what was typed each word counts, and not how much of the name was left out."""
    with pytest.raises(UnresolvedError) as caught:
        CATALOGUE.resolve(ApplicationRef(name=typed))
    message = caught.value.message

    assert message.startswith(f'"{typed}" is not in the catalogue; the nearest there: "{nearest}" (wsa-')
    assert message.count("wsa-") <= 3
    assert len(message) < 300


def test_where_nothing_is_near_nothing_is_named() -> None:
    """The first of the catalogue would only mislead."""
    with pytest.raises(UnresolvedError) as caught:
        CATALOGUE.resolve(ApplicationRef(name="Photoshop", version="CC"))

    assert caught.value.message == (
        '"Photoshop" version CC is not in the catalogue, and none of its 24 applications is called like it'
    )


def test_an_id_is_near_to_ids() -> None:
    """One wrong digit."""
    with pytest.raises(
        UnresolvedError, match=r'"wsa-00000f20" is not in .*; the nearest there: .*wsa-00000020'
    ):
        CATALOGUE.resolve(ApplicationRef(id="wsa-00000f20"))


def application(application_id: str, name: str | None, owner: str = "AMAZON") -> WorkSpaceApplication:
    """An application of a catalogue."""
    return WorkSpaceApplication(application_id=application_id, name=name, owner=owner)


@pytest.mark.parametrize(
    "name, others, is_named",
    [
        ("Contoso Tool", (), True),
        ("Contoso Tool", ("Contoso Tool Pro",), True),
        ("Contoso Tool", ("contoso  TOOL",), False),
        ("wsa-tool", (), False),
        ("x" * 201, (), False),
        ("two\nlines", (), False),
        (None, (), False),
    ],
)
def test_a_manifest_is_told_a_name_only_where_it_means_that_application(
    name: str | None, others: tuple[str, ...], is_named: bool
) -> None:
    """Else the id: the advice of a plan must work as it stands."""
    own = "wsa-11111111"
    catalogue = Catalogue(
        [
            application(own, name),
            *(
                application(f"wsa-2222222{place}", other, "123456789012")
                for place, other in enumerate(others)
            ),
        ]
    )
    told = catalogue.reference(own)

    assert told == (name if is_named else own)
    rule = Rule.model_validate({"select": {"everything": True}, "absent": [told]})
    assert catalogue.resolve(rule.absent[0]) == own
