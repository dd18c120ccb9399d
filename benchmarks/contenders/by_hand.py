"""aiobotocore with its answers put into pydantic models, as people write them by hand."""

from collections.abc import AsyncGenerator, Sized
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from aiobotocore.session import get_session
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_pascal

from benchmarks.answers import (
    ACCESS_KEY_ID,
    APPLICATION_ID,
    PAGE,
    REGION,
    SECRET_ACCESS_KEY,
    WORKSPACE_ID,
)
from benchmarks.contenders import Calls


class _Model(BaseModel):
    model_config = ConfigDict(alias_generator=to_pascal, populate_by_name=True)


class _StateReason(_Model):
    error_code: str | None = None
    error_message: str | None = None


class _Association(_Model):
    associated_resource_id: str | None = None
    associated_resource_type: str | None = None
    created: datetime | None = None
    last_updated_time: datetime | None = None
    state: str | None = None
    state_reason: _StateReason | None = None
    application_id: str | None = None
    workspace_id: str | None = None


class _Associations(_Model):
    associations: list[_Association] = []
    next_token: str | None = None


class _Associated(_Model):
    association: _Association


class _Properties(_Model):
    running_mode: str | None = None
    running_mode_auto_stop_timeout_in_minutes: int | None = None
    root_volume_size_gib: int | None = None
    user_volume_size_gib: int | None = None
    compute_type_name: str | None = None
    protocols: list[str] = []
    operating_system_name: str | None = None


class _ModificationState(_Model):
    resource: str | None = None
    state: str | None = None


class _RelatedWorkspace(_Model):
    workspace_id: str | None = None
    region: str | None = None
    state: str | None = None
    type: str | None = None


class _Replication(_Model):
    data_replication: str | None = None
    recovery_snapshot_time: datetime | None = None


class _Standby(_Model):
    standby_workspace_id: str | None = None
    data_replication: str | None = None
    recovery_snapshot_time: datetime | None = None


class _Workspace(_Model):
    workspace_id: str | None = None
    directory_id: str | None = None
    user_name: str | None = None
    ip_address: str | None = None
    state: str | None = None
    bundle_id: str | None = None
    subnet_id: str | None = None
    error_message: str | None = None
    error_code: str | None = None
    computer_name: str | None = None
    volume_encryption_key: str | None = None
    user_volume_encryption_enabled: bool | None = None
    root_volume_encryption_enabled: bool | None = None
    workspace_name: str | None = None
    workspace_properties: _Properties | None = None
    modification_states: list[_ModificationState] = []
    related_workspaces: list[_RelatedWorkspace] = []
    data_replication_settings: _Replication | None = None
    standby_workspaces_properties: list[_Standby] = []


class _Workspaces(_Model):
    workspaces: list[_Workspace] = []
    next_token: str | None = None


@asynccontextmanager
async def connected(url: str) -> AsyncGenerator[Calls]:
    """An open client of the server at `url`."""
    session: Any = get_session()
    async with session.create_client(
        "workspaces",
        region_name=REGION,
        endpoint_url=url,
        aws_access_key_id=ACCESS_KEY_ID,
        aws_secret_access_key=SECRET_ACCESS_KEY,
    ) as client:

        async def associations() -> Sized:
            page: dict[str, Sized] = await client.describe_application_associations(
                ApplicationId=APPLICATION_ID, AssociatedResourceTypes=["WORKSPACE"], MaxResults=PAGE
            )
            return _Associations.model_validate(page).associations

        async def workspaces() -> Sized:
            return _Workspaces.model_validate(await client.describe_workspaces(Limit=PAGE)).workspaces

        async def associate() -> str:
            answer: dict[str, dict[str, str]] = await client.associate_workspace_application(
                WorkspaceId=WORKSPACE_ID, ApplicationId=APPLICATION_ID
            )
            return _Associated.model_validate(answer).association.state or ""

        yield Calls(associations=associations, workspaces=workspaces, associate=associate)
