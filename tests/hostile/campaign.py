"""The campaign: every kind of answer × every founding operation. `python -m tests.hostile.campaign [SEED]` prints a table."""

import asyncio
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from tests.hostile.answers import VALUE, Ending, Kind, kinds, right_body
from tests.hostile.calls import ANSWERS, CALLS
from tests.hostile.files import attack_files
from tests.http.conftest import make_config
from tests.http.raw import client_of, raw_server
from workspaces_apps import (
    ClientConfig,
    MalformedResponseError,
    Pacing,
    RetryPolicy,
    ServiceError,
    TransportError,
    WorkSpacesError,
)

READ_TIMEOUT: Final = 0.5
"""Seconds until an answer is given up that does not end."""

BOUND: Final = 120.0
"""Seconds after which a call is taken for hung. It is long so that a busy machine is taken for nothing else: what does not end
is given up after `READ_TIMEOUT`, and everything else ends by itself."""

AT_ONCE: Final = 8


def config(*, unending: bool) -> ClientConfig:
    """Settings for one attempt, and a body of three megabytes at most."""
    chosen = make_config(
        connect_timeout=BOUND,
        read_timeout=READ_TIMEOUT if unending else 2 * BOUND,
        retry=RetryPolicy(max_attempts=1),
        pacing=Pacing.off(),
    )
    return replace(chosen, max_response_bytes=3_000_000)


async def meet(kind: Kind, operation: str) -> str:
    """Call an operation that is answered so; what is wrong about how it ends, or nothing."""
    right = right_body(ANSWERS[operation])

    async def handle(writer: asyncio.StreamWriter, _: str) -> bool:
        await kind.write(writer, right)
        return False

    async with raw_server(handle) as server, client_of(server, config(unending=kind.unending)) as ws:
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
    if ending not in kind.endings:
        return f"ended as {ending}, not as {' or '.join(sorted(kind.endings))}"
    return ""


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
