"""Sessions of aiobotocore, without what no call of this package comes to need."""

from typing import Any, Final

from aiobotocore.session import AioSession
from botocore import handlers
from botocore.exceptions import BotoCoreError

from workspaces_apps._http.loader import shared_loader
from workspaces_apps.errors import ConfigurationError

SERVICE: Final = "workspaces"

PROFILE_ADVICE: Final = "Check profile=, AWS_PROFILE and ~/.aws/config"

_CALLED: Final = frozenset({"", "*", SERVICE, "signin", "sso", "sso-oidc", "sts"})
"""The services that are called: ours, and those that hand out credentials; and how events name any service."""


def make_session(profile: str | None) -> AioSession:
    """A session that shares the data of botocore with the others of the process.

    Raises:
        ConfigurationError: The profile does not exist, or a configuration file cannot be read.
    """
    try:
        session = AioSession(profile=profile, include_builtin_handlers=False)
        _register_handlers(session)
        loader = shared_loader(session.get_config_variable("data_path"))
    except BotoCoreError as error:
        raise ConfigurationError(f"{error}. {PROFILE_ADVICE}") from error
    session.register_component("data_loader", loader)
    return session


def _register_handlers(session: AioSession) -> None:
    """Register botocore's own handlers, but for those of other services: nine in ten, and milliseconds."""
    events: Any = session.get_component("event_emitter")
    entries: list[tuple[Any, ...]] = handlers.BUILTIN_HANDLERS
    for event, handler, *place in entries:
        name, _, rest = event.partition(".")
        if name == "docs" or rest.partition(".")[0] not in _CALLED:
            continue
        if place == [handlers.REGISTER_FIRST]:
            events.register_first(event, handler)
        elif place == [handlers.REGISTER_LAST]:
            events.register_last(event, handler)
        else:
            events.register(event, handler)
