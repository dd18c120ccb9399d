"""The account: bring-your-own-licence settings, management ranges, and links between accounts."""

import ipaddress
from typing import Final

from workspaces_apps.simulator._operations.call import Call, Family, listing
from workspaces_apps.simulator._paging import index_of
from workspaces_apps.simulator._wire import ApiError, JsonObject, Parameters, invalid, not_found

_LINKS: Final = "account-links"
_MODIFICATIONS: Final = "account-modifications"


def describe_account(call: Call, parameters: Parameters) -> JsonObject:
    """The account's licence settings."""
    del parameters
    return {"DedicatedTenancySupport": "DISABLED", **call.store.account}


def modify_account(call: Call, parameters: Parameters) -> JsonObject:
    """Enable dedicated tenancy; it is done at once."""
    change = dict(parameters.raw)
    call.store.account.update(change)
    number = call.store.number()
    change.update({"ModificationState": "COMPLETED", "StartTime": call.now})
    call.store.collection(_MODIFICATIONS).add(str(number), number, change)
    return {}


def describe_account_modifications(call: Call, parameters: Parameters) -> JsonObject:
    """List the changes of the account."""
    page = call.page(parameters, [call.store.collection(_MODIFICATIONS).order])
    return listing("AccountModifications", page.items, page.next_token)


def list_available_management_cidr_ranges(call: Call, parameters: Parameters) -> JsonObject:
    """Ranges of 65,536 addresses within the one that is asked for, five to a page at most [doc]."""
    try:
        within = ipaddress.IPv4Network(parameters.text("ManagementCidrRangeConstraint"), strict=False)
    except ValueError:
        raise invalid("ManagementCidrRangeConstraint is not a range of addresses.") from None
    if within.prefixlen > 16:
        raise invalid("ManagementCidrRangeConstraint must hold at least 65,536 addresses.")
    ranges: list[tuple[int, str]] = []
    for number, network in enumerate(within.subnets(new_prefix=16), start=1):
        ranges.append((number, str(network)))
        if number == 256:
            break
    limit = parameters.integer("MaxResults") or 5
    page = call.store.pager.page(
        call.operation, parameters.raw, [index_of(ranges, lambda one: one[0])], limit, call.now
    )
    answer: JsonObject = {"ManagementCidrRanges": [text for _, text in page.items]}
    if page.next_token is not None:
        answer["NextToken"] = page.next_token
    return answer


def _link(call: Call, link_id: str) -> JsonObject:
    link = call.accounts.links.get(link_id)
    account = call.store.account_id
    if link is None or account not in (link["SourceAccountId"], link["TargetAccountId"]):
        raise not_found("account link", link_id)
    return link


def create_account_link_invitation(call: Call, parameters: Parameters) -> JsonObject:
    """Invite an account; the same client token gives the same link."""
    source, target = call.store.account_id, parameters.text("TargetAccountId")
    token = parameters.maybe_text("ClientToken")
    if target == source:
        raise ApiError("ValidationException", "An account cannot be linked with itself.")
    tokens = call.store.collection(_LINKS).items
    if token is not None and token in tokens:
        known = call.accounts.links.get(str(tokens[token]["AccountLinkId"]))
        if known is not None and known["TargetAccountId"] == target:
            return {"AccountLink": known}
    if any(
        link["SourceAccountId"] == source and link["TargetAccountId"] == target
        for link in call.accounts.links.values()
    ):
        raise ApiError("ConflictException", "The accounts are linked, or invited, already.")
    link_id = call.store.new_id("link-", 16)
    link: JsonObject = {
        "AccountLinkId": link_id,
        "AccountLinkStatus": "PENDING_ACCEPTANCE_BY_TARGET_ACCOUNT",
        "SourceAccountId": source,
        "TargetAccountId": target,
    }
    call.accounts.links[link_id] = link
    if token is not None:
        tokens[token] = {"AccountLinkId": link_id}
    return {"AccountLink": link}


def _answer(call: Call, parameters: Parameters, status: str) -> JsonObject:
    link = _link(call, parameters.text("LinkId"))
    if link["TargetAccountId"] != call.store.account_id:
        raise ApiError("AccessDeniedException", "Only the invited account can answer.")
    if link["AccountLinkStatus"] != "PENDING_ACCEPTANCE_BY_TARGET_ACCOUNT":
        raise ApiError("ConflictException", "The invitation was answered already.")
    link["AccountLinkStatus"] = status
    return {"AccountLink": dict(link)}


def accept_account_link_invitation(call: Call, parameters: Parameters) -> JsonObject:
    """Accept, as the invited account."""
    return _answer(call, parameters, "LINKED")


def reject_account_link_invitation(call: Call, parameters: Parameters) -> JsonObject:
    """Reject, as the invited account."""
    return _answer(call, parameters, "REJECTED")


def delete_account_link_invitation(call: Call, parameters: Parameters) -> JsonObject:
    """Withdraw an invitation."""
    link = _link(call, parameters.text("LinkId"))
    if link["SourceAccountId"] != call.store.account_id:
        raise ApiError("AccessDeniedException", "Only the inviting account can withdraw.")
    del call.accounts.links[str(link["AccountLinkId"])]
    return {"AccountLink": link}


def get_account_link(call: Call, parameters: Parameters) -> JsonObject:
    """A link by its id, or by the other account."""
    link_id, other = parameters.maybe_text("LinkId"), parameters.maybe_text("LinkedAccountId")
    if link_id is None and other is None:
        raise ApiError("ValidationException", "LinkId or LinkedAccountId must be given.")
    if link_id is not None:
        return {"AccountLink": _link(call, link_id)}
    mine = call.store.account_id
    for link in call.accounts.links.values():
        if (link["SourceAccountId"], link["TargetAccountId"]) in ((mine, other), (other, mine)):
            return {"AccountLink": link}
    raise not_found("account link", other or "")


def list_account_links(call: Call, parameters: Parameters) -> JsonObject:
    """The account's links, in the order they were made."""
    mine = call.store.account_id
    statuses = frozenset(parameters.texts("LinkStatusFilter"))
    numbered = [
        (number, link)
        for number, link in enumerate(call.accounts.links.values(), start=1)
        if mine in (link["SourceAccountId"], link["TargetAccountId"])
        and (not statuses or link["AccountLinkStatus"] in statuses)
    ]
    page = call.page(parameters, [index_of(numbered, lambda one: one[0])])
    return listing("AccountLinks", [link for _, link in page.items], page.next_token)


ACCOUNTS: Final[Family] = {
    "AcceptAccountLinkInvitation": accept_account_link_invitation,
    "CreateAccountLinkInvitation": create_account_link_invitation,
    "DeleteAccountLinkInvitation": delete_account_link_invitation,
    "DescribeAccount": describe_account,
    "DescribeAccountModifications": describe_account_modifications,
    "GetAccountLink": get_account_link,
    "ListAccountLinks": list_account_links,
    "ListAvailableManagementCidrRanges": list_available_management_cidr_ranges,
    "ModifyAccount": modify_account,
    "RejectAccountLinkInvitation": reject_account_link_invitation,
}
