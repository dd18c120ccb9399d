"""The library's advice in the words of the command line: what is an argument there is an option here."""

from __future__ import annotations

from typing import Final

OPTIONS: Final[tuple[tuple[str, str], ...]] = (
    ("set ClientConfig(allow_insecure_endpoint=True)", "pass --allow-insecure-endpoint"),
    ("endpoint_url ", "the endpoint URL "),
    ('pass region="eu-west-1"', "pass --region eu-west-1"),
    ("pass credentials= or profile=", "pass --profile NAME"),
    ("Check profile=,", "Check --profile,"),
    ("allow_remote=True opens", "--allow-remote opens"),
    (
        '; if the service has relaxed this rule since, ClientConfig(request_checks="structure") leaves it to the service',
        "",
    ),
)
"""What the library says, and what is said instead; all that fit."""


def in_options(message: str) -> str:
    """A message of the library, for somebody who has options and no arguments."""
    for said, instead in OPTIONS:
        message = message.replace(said, instead)
    return message
