"""Journals, manifests, plans and states that somebody, or a disk, has spoilt."""

import asyncio
import json
import random
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.rollout.site import manifest, site
from workspaces_apps import WorkSpacesError
from workspaces_apps.rollout import Manifest, Plan, read_journal
from workspaces_apps.simulator import ManualClock, Simulator
from workspaces_apps.simulator._snapshot import save

JOURNALS: Final = Path(__file__).parent.parent / "rollout" / "journals"

_MANIFEST: Final = {
    "name": "office",
    "targets": [{"name": "east"}, {"name": "west", "region": "eu-west-1"}],
    "rules": [
        {"select": {"workspace_ids": ["ws-123456789"]}, "present": ["Office 2021"], "absent": ["Visio 2019"]},
        {"select": {"tags": {"Ring": ["1"]}}, "present": ["Office 2021"], "targets": ["west"]},
    ],
    "policy": {
        "canary": 5,
        "failure_budget": "2%",
        "hours": [{"days": ["mon"], "from": "22:00", "to": "05:00"}],
    },
}
_TOML: Final = 'name = "office"\n[[rules]]\nselect = { everything = true }\npresent = ["Office 2021"]\n[policy]\ncanary = 5\n'
_YAML: Final = (
    "name: office\nrules:\n  - select: {everything: true}\n    present: [Office 2021]\npolicy:\n  canary: 5\n"
)


@dataclass(slots=True)
class Spoilt:
    """The outcomes of spoilt files.

    Attributes:
        endings: How many were read, and how many refused with which error.
        wrong: What raised anything else.
    """

    endings: Counter[str] = field(default_factory=Counter[str])
    wrong: list[str] = field(default_factory=list[str])

    @property
    def summary(self) -> str:
        """The counts in words."""
        return ", ".join(f"{number:,} {ending}" for ending, number in self.endings.most_common())


def spoil(content: bytes, chance: random.Random) -> bytes:
    """Change a file in one of the ways that files get broken, or are broken on purpose."""
    spot, length = chance.randrange(len(content)), chance.randint(1, 30)
    strange = (
        b"\x00",
        b"\xff",
        b"\xed\xa0\x80",
        b"9" * 5000,
        b"[" * 2000,
        b'"\\ud800"',
        b"NaN",
        b"\r\n",
        b"\xef\xbb\xbf",
    )
    match chance.randrange(8):
        case 0:
            return content[:spot]
        case 1:
            return content[:spot] + content[spot + length :]
        case 2:
            return content[:spot] + bytes([content[spot] ^ (1 << chance.randrange(8))]) + content[spot + 1 :]
        case 3:
            return content[:spot] + chance.choice(strange) + content[spot:]
        case 4:
            return content[:spot] + content[spot : spot + 200] * chance.randint(2, 5) + content[spot + 200 :]
        case 5:
            words = (b"null", b"true", b"-1", b"1e999", b"[]", b"{}", b'""')
            value = chance.choice(words)
            parts = content.split(b": ") if b": " in content else content.split(b":")
            at = chance.randrange(len(parts))
            rest = parts[at].partition(b",")
            parts[at] = value + rest[1] + rest[2] if at else parts[at]
            return b": ".join(parts)
        case 6:
            lines = content.splitlines(keepends=True)
            chance.shuffle(lines)
            return b"".join(lines)
        case _:
            return bytes(chance.randrange(256) for _ in range(chance.randint(0, 100)))


async def _samples(folder: Path) -> tuple[bytes, bytes]:
    """A saved plan, and a state of the simulator."""
    async with site() as here:
        here.sim.fleet.add_workspaces(4)
        plan = await here.rollout.plan(manifest())
        save(folder / "sample.state", here.sim.accounts, here.clock.timestamp())
    return plan.to_json().encode(), (folder / "sample.state").read_bytes()


def attack_files(count: int, seed: int) -> Spoilt:
    """Spoil and read so many files; whatever is refused must be refused with an error of this package."""
    chance, found = random.Random(seed), Spoilt()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plan, state = asyncio.run(_samples(folder))
        journals: Sequence[bytes] = [path.read_bytes() for path in sorted(JOURNALS.iterdir())]
        readers: Mapping[str, tuple[Sequence[bytes], Callable[[Path], object]]] = {
            "x.journal": (journals, read_journal),
            "x.toml": ((_TOML.encode(),), Manifest.load),
            "x.yaml": ((_YAML.encode(),), Manifest.load),
            "x.json": ((json.dumps(_MANIFEST).encode(),), Manifest.load),
            "x.plan": ((plan,), Plan.load),
            "x.state": ((state,), lambda path: Simulator(state_file=path, clock=ManualClock())),
        }
        for number in range(count):
            suffix = list(readers)[number % len(readers)]
            samples, read = readers[suffix]
            path = folder / suffix
            path.write_bytes(spoil(chance.choice(samples), chance))
            try:
                read(path)
            except WorkSpacesError as error:
                found.endings[f"{suffix[2:]} {type(error).__name__}"] += 1
            except Exception as error:  # noqa: BLE001 - that is what is looked for
                found.wrong.append(
                    f"{suffix} {number} of seed {seed}: a raw {type(error).__name__}: {error}"[:300]
                )
            else:
                found.endings[f"{suffix[2:]} read"] += 1
    return found
