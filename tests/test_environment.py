"""That a test sees nothing of the machine it runs on."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import botocore.session


class Lookup(Protocol):
    """The part of botocore's session, which is untyped, that tells what it finds."""

    @property
    def available_profiles(self) -> Sequence[str]:
        """The names of the profiles in the files."""
        ...

    def get_credentials(self) -> object:
        """The credentials found, or None."""
        ...

    def get_config_variable(self, logical_name: str) -> object:
        """The setting of that name, or None."""
        ...


def lookup() -> Lookup:
    """botocore's own search, as a client would begin it."""
    session: Lookup = botocore.session.Session()
    return session


def test_no_credentials_and_no_region_reach_a_test(aws_environment: Path) -> None:
    """botocore, asked as a client would ask it, finds neither credentials nor a Region nor a profile."""
    found = lookup()

    assert found.get_credentials() is None
    assert found.get_config_variable("region") is None
    assert list(found.available_profiles) == []
    assert list(aws_environment.iterdir()) == []
