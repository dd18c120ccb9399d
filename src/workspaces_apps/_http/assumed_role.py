"""A role that is assumed through the client's own configuration, again before its credentials end."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import BotoCoreError

from workspaces_apps._base.credentials import call_sts
from workspaces_apps._base.text import MESSAGE_LIMIT, harmless
from workspaces_apps._http.credential_sources import Loaded, frozen
from workspaces_apps._retry import EXPIRED_CREDENTIALS_CODES
from workspaces_apps.errors import CredentialsError, ServiceError, TransportError

if TYPE_CHECKING:
    from workspaces_apps._base.credentials import AssumeRole
    from workspaces_apps._http.credential_sources import RefreshingSource
    from workspaces_apps._http.nested import ConfiguredSession, Repeater


class RoleLoader:
    """Asks STS for the credentials of a role.

    Args:
        role: The role, with its Region.
        source: Whose credentials assume it.
        session: Creates the client of STS.
        repeater: Repeats what STS answers in a moment's trouble.
    """

    def __init__(
        self, role: AssumeRole, source: RefreshingSource, session: ConfiguredSession, repeater: Repeater
    ) -> None:
        self._role = role
        self._source = source
        self._session = session
        self._repeater = repeater
        self._asks = False

    @property
    def waits_for(self) -> str:
        """The request to STS; the source tells by itself whom it asks."""
        return f"STS, to assume {self._role.role_arn}" if self._asks else ""

    @property
    def advice(self) -> str:
        """Advice: what to run or set to get the credentials that assume the role."""
        return self._source.advice

    async def load(self, _: ReadOnlyCredentials | None, /) -> Loaded:
        """Assume the role; with other credentials where STS says that those of the source have ended.

        Raises:
            CredentialsError: STS refused, or did not answer, or the source has no credentials.
        """
        used = await self._source.current()
        try:
            try:
                return await self._assume(used)
            except ServiceError as error:
                if error.code not in EXPIRED_CREDENTIALS_CODES:
                    raise
                await self._source.renew(used)
                return await self._assume(await self._source.current())
        except (ServiceError, TransportError) as error:
            advice = f": {self.advice}" if error.code in EXPIRED_CREDENTIALS_CODES else ""
            raise CredentialsError(f"could not assume {self._role.role_arn}: {error}{advice}") from error
        except BotoCoreError as error:
            raise CredentialsError(
                f"could not assume {self._role.role_arn}: {harmless(error, MESSAGE_LIMIT)}"
            ) from error

    async def _assume(self, used: ReadOnlyCredentials) -> Loaded:
        self._asks = True
        try:
            given = await self._repeater.call(
                partial(call_sts, self._role, self._session.create_client, used)
            )
        finally:
            self._asks = False
        return Loaded(credentials=frozen(given), expires_at=given.expires_at)

    async def close(self) -> None:
        """End a refresh of the source that is under way."""
        await self._source.close()
