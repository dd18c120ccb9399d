"""The campaign: every kind of answer × every founding operation. `python -m tests.hostile.campaign [SEED]` prints a table."""

import asyncio
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from tests.client.conftest import make_config
from tests.client.raw import client_of, raw_server
from tests.hostile.answers import VALUE, Ending, Kind, kinds, right_body
from tests.hostile.calls import ANSWERS, CALLS
from tests.hostile.files import attack_files
from workspaces_apps import (
    ClientConfig,
    MalformedResponseError,
    Pacing,
    RetryPolicy,
    ServiceError,
    TransportError,
    WorkSpacesError,
)

BOUND: Final = 30.0
"""Seconds that a call may take, on a busy machine; it should take less than one."""

AT_ONCE: Final = 8


def config(kind: Kind) -> ClientConfig:
    """Settings with a short time where an answer may never end, and a body of three megabytes at most."""
    read_timeout = 1.0 if "TransportError" in kind.endings else BOUND / 2
    made = make_config(read_timeout=read_timeout, retry=RetryPolicy(max_attempts=1), pacing=Pacing.off())
    return replace(made, max_response_bytes=3_000_000)


async def meet(kind: Kind, operation: str) -> str:
    """Call an operation that is answered so; what is wrong about how it ends, or nothing."""
    right = right_body(ANSWERS[operation])

    async def handle(writer: asyncio.StreamWriter, _: str) -> bool:
        await kind.write(writer, right)
        return False

    async with raw_server(handle) as server, client_of(server, config(kind)) as ws:
        began = time.monotonic()
        ending: Ending
        try:
            async with asyncio.timeout(BOUND):
                result = await CALLS[operation](ws)
        except ServiceError:
            ending = "ServiceError"
        except MalformedResponseError:
            ending = "MalformedResponseError"
        except TransportError:
            ending = "TransportError"
        except WorkSpacesError as error:
            return f"ended as {type(error).__name__}"
        except TimeoutError:
            return f"did not end within {BOUND:g} s"
        except Exception as error:  # noqa: BLE001 - that is what is looked for
            return f"raised a raw {type(error).__name__}: {error}"
        else:
            ending = "value"
            missing = ANSWERS[operation].keys() - result.to_wire().keys()
            if missing and kind.endings == VALUE:
                return f"lost {', '.join(missing)}"
        took = time.monotonic() - began
    if ending not in kind.endings:
        return f"ended as {ending}, not as {' or '.join(sorted(kind.endings))}"
    return "" if took < BOUND else f"took {took:.1f} s"


async def attack(chosen: Sequence[tuple[Kind, str]]) -> list[str]:
    """Meet them all, some at the same time; what went wrong."""
    wrong: list[str] = []
    waiting = iter(chosen)

    async def work() -> None:
        for kind, operation in waiting:
            fault = await meet(kind, operation)
            if fault:
                wrong.append(f"{operation}, {kind.name}: {fault}")

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    return wrong


def main(seed: int) -> int:
    """Run it all, and print a table."""
    every = list(kinds())
    pairs = [(kind, operation) for kind in every for operation in CALLS]
    random.Random(seed).shuffle(pairs)
    began = time.monotonic()
    wrong = asyncio.run(attack(pairs))
    expected = Counter(" or ".join(sorted(kind.endings)) for kind, _ in pairs)
    tell = sys.stdout.write
    tell(f"seed {seed}: {len(every)} kinds of answers × {len(CALLS)} operations = {len(pairs)} calls\n")
    for endings, count in expected.most_common():
        tell(f"  {count:6,}  {endings}\n")
    tell(f"  {len(wrong):6,}  wrong, in {time.monotonic() - began:.0f} s\n")
    spoilt = attack_files(20_000, seed)
    tell(f"20,000 spoilt files: {spoilt.summary}\n")
    for fault in [*wrong, *spoilt.wrong][:50]:
        tell(f"WRONG {fault}\n")
    return 1 if wrong or spoilt.wrong else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else random.SystemRandom().randrange(10**9)))
