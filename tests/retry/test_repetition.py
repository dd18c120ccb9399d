"""The table of what may be repeated, against the service model."""

import json
from importlib.resources import files

import pytest

from workspaces_apps._retry import AMBIGUOUS, REPEATABLE, Strategy, caused_by_earlier_attempt, rule_for
from workspaces_apps.errors import ServiceError

READING = ("Describe", "List", "Get")


def operations() -> dict[str, dict[str, object]]:
    """Every operation of the model, by name."""
    kept = files("workspaces_apps.simulator").joinpath("service.json").read_bytes()
    model: dict[str, dict[str, dict[str, object]]] = json.loads(kept)
    return model["operations"]


def test_every_operation_of_the_model_has_a_row_and_no_row_is_left_over() -> None:
    """A new operation needs a decision."""
    assert set(REPEATABLE) == set(operations())


def test_all_that_only_reads_is_repeatable() -> None:
    """By its name: Describe, List, Get."""
    assert {
        name for name in REPEATABLE if name.startswith(READING) and not REPEATABLE[name].repeatable
    } == set()


def test_what_writes_is_repeatable_only_where_decided() -> None:
    """The whole list, so that a change of it is seen."""
    assert {
        name for name, rule in REPEATABLE.items() if rule.repeatable and not name.startswith(READING)
    } == {
        "AssociateWorkspaceApplication",
        "CreateTags",
        "DeleteTags",
        "DisassociateWorkspaceApplication",
        "ModifyCertificateBasedAuthProperties",
        "ModifyClientProperties",
        "ModifyEndpointEncryptionMode",
        "ModifySamlProperties",
        "ModifySelfservicePermissions",
        "ModifyStreamingProperties",
        "ModifyWorkspaceAccessProperties",
        "ModifyWorkspaceCreationProperties",
        "UpdateConnectClientAddIn",
        "UpdateRulesOfIpGroup",
        "UpdateWorkspaceBundle",
        "UpdateWorkspaceImagePermission",
    }


def test_every_row_has_a_reason_and_every_no_says_what_to_look_up() -> None:
    """And its strategy agrees with it."""
    for rule in REPEATABLE.values():
        assert rule.reason.endswith(".")
        assert rule.repeatable is (rule.strategy is Strategy.REPEAT)
        assert rule.repeatable or rule.look_up


def test_what_a_row_says_to_look_up_exists() -> None:
    """Each names an operation of the model that reads."""
    known = {name for name in operations() if name.startswith(READING)}
    for rule in REPEATABLE.values():
        assert rule.repeatable or rule.look_up.split()[0].rstrip(":") in known, rule.look_up


def test_only_a_deployment_is_looked_at_before_the_decision() -> None:
    """The service tells whether it began."""
    assert [name for name, rule in REPEATABLE.items() if rule.strategy is Strategy.LOOK] == [
        "DeployWorkspaceApplications"
    ]


def test_an_operation_without_a_row_is_not_repeated() -> None:
    """The table is closed."""
    rule = rule_for("InventedOperation")
    assert (rule.repeatable, rule.strategy) == (False, Strategy.FAIL)


@pytest.mark.parametrize(
    "operation, code, explained",
    [
        ("AssociateWorkspaceApplication", "ResourceAlreadyExistsException", True),
        ("AssociateWorkspaceApplication", "ResourceNotFoundException", False),
        ("AssociateWorkspaceApplication", "ResourceInUseException", False),
        ("DisassociateWorkspaceApplication", "ResourceNotFoundException", True),
        ("DisassociateWorkspaceApplication", "ResourceInUseException", True),
        ("DisassociateWorkspaceApplication", "ResourceAlreadyExistsException", False),
        ("CreateWorkspaceBundle", "ResourceAlreadyExistsException", False),
        ("CreateWorkspaceBundle", None, False),
    ],
)
def test_an_own_attempt_explains_few_codes_of_two_operations(
    operation: str, code: str | None, explained: bool
) -> None:
    """All else is an error."""
    assert caused_by_earlier_attempt(operation, ServiceError(code=code, http_status=400)) is explained
    assert not explained or REPEATABLE[operation].repeatable


def test_the_explained_codes_are_errors_of_their_operations() -> None:
    """The model says so."""
    for operation, codes in AMBIGUOUS.items():
        modelled = json.loads(json.dumps(operations()[operation]["errors"]))
        assert all({"shape": code} in modelled for code in codes)
