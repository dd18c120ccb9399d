"""Several accounts and Regions in one process, and what passes between them."""

import pytest

from tests.simulator.peer import Call, collect, peer_of, refusal
from workspaces_apps.simulator import ManualClock, Simulator, Throttle


def test_regions_are_apart(sim: Simulator, call: Call) -> None:
    """The other Region has directories and a catalogue, and no WorkSpaces."""
    with peer_of(sim, region="eu-west-1") as elsewhere:
        assert elsewhere("describe_workspaces")["Workspaces"] == []
        assert len(elsewhere("describe_workspace_directories")["Directories"]) == 3
        assert elsewhere("describe_applications", MaxResults=25)["Applications"]
    assert len(call("describe_workspaces")["Workspaces"]) == 25


def test_accounts_are_apart(sim: Simulator, call: Call) -> None:
    """Each sees its own WorkSpaces, and cannot touch the other's."""
    other = sim.add_account("210987654321", workspaces=3)
    with peer_of(sim, credentials=other) as theirs:
        mine = call("describe_workspaces")["Workspaces"][0]["WorkspaceId"]
        found = theirs("describe_workspaces")["Workspaces"]
        error = refusal(lambda: theirs("deploy_workspace_applications", WorkspaceId=mine))

    assert len(found) == 3
    assert error["Code"] == "ResourceNotFoundException"


def test_each_account_and_region_has_its_own_bucket(clock: ManualClock) -> None:
    """One that is throttled does not hold up the others."""
    with Simulator.in_thread(clock=clock, throttle=Throttle.at(0, 1), other_regions=["eu-west-1"]) as sim:
        other = sim.add_account("210987654321")
        for region, credentials in ((None, None), ("eu-west-1", None), (None, other)):
            with peer_of(sim, region=region, credentials=credentials) as call:
                call("describe_workspaces")
                assert refusal(lambda: call("describe_workspaces"))["Code"] == "ThrottlingException"


def test_an_invitation_passes_between_accounts(sim: Simulator, call: Call) -> None:
    """Invited, listed by both, accepted by the other only."""
    other = sim.add_account("210987654321")
    link = call("create_account_link_invitation", TargetAccountId="210987654321", ClientToken="once")
    again = call("create_account_link_invitation", TargetAccountId="210987654321", ClientToken="once")
    link_id = link["AccountLink"]["AccountLinkId"]

    assert again["AccountLink"]["AccountLinkId"] == link_id
    assert refusal(lambda: call("accept_account_link_invitation", LinkId=link_id))["Code"] == (
        "AccessDeniedException"
    )
    with peer_of(sim, credentials=other) as theirs:
        assert collect(theirs, "list_account_links", "AccountLinks")[0]["AccountLinkId"] == link_id
        theirs("accept_account_link_invitation", LinkId=link_id)
    assert (
        call("get_account_link", LinkedAccountId="210987654321")["AccountLink"]["AccountLinkStatus"]
        == "LINKED"
    )


def test_a_standby_is_related_to_its_primary(sim: Simulator, call: Call, clock: ManualClock) -> None:
    """Made in the other Region; each names the other, and bad entries fail on their own."""
    primary = sim.fleet.workspace_ids[0]
    there = sim.fleet_of(sim.account_id, "eu-west-1")
    with peer_of(sim, region="eu-west-1") as elsewhere:
        answer = elsewhere(
            "create_standby_workspaces",
            PrimaryRegion=sim.region,
            StandbyWorkspaces=[
                {"PrimaryWorkspaceId": primary, "DirectoryId": there.directory_ids[0]},
                {"PrimaryWorkspaceId": "ws-00000000", "DirectoryId": there.directory_ids[0]},
            ],
        )
        standby = answer["PendingStandbyRequests"][0]["WorkspaceId"]
        clock.jump(7200)
        (seen,) = elsewhere("describe_workspaces", WorkspaceIds=[standby])["Workspaces"]
    (mine,) = call("describe_workspaces", WorkspaceIds=[primary])["Workspaces"]

    assert len(answer["FailedStandbyRequests"]) == 1
    assert (seen["State"], seen["RelatedWorkspaces"][0]["WorkspaceId"]) == ("STOPPED", primary)
    assert mine["RelatedWorkspaces"][0] == {
        "WorkspaceId": standby,
        "Region": "eu-west-1",
        "State": "STOPPED",
        "Type": "STANDBY",
    }


def test_an_image_can_be_copied_from_another_region(sim: Simulator, clock: ManualClock) -> None:
    """PENDING, then AVAILABLE."""
    source = sim.fleet.image_ids[0]
    with peer_of(sim, region="eu-west-1") as elsewhere:
        copy = elsewhere("copy_workspace_image", Name="copy", SourceImageId=source, SourceRegion=sim.region)
        seen: list[str] = []
        for seconds in (0, 7200):
            clock.jump(seconds)
            seen.append(
                elsewhere("describe_workspace_images", ImageIds=[copy["ImageId"]])["Images"][0]["State"]
            )

    assert seen == ["PENDING", "AVAILABLE"]


@pytest.mark.parametrize("account", ["", "123", "12345678901x", "1234567890123", "１２３４５６７８９０１２"])
def test_an_account_has_twelve_digits(sim: Simulator, account: str) -> None:
    """Anything else is refused."""
    with pytest.raises(ValueError, match="12 digits"):
        sim.add_account(account)
