"""The floor does what is measured of it: it tells its streams, stores batches of turns and keeps files."""

from pathlib import Path

import pytest
import uvloop
from benchmarks.scenarios import Effort, Figure

from benchmarks import files, report, scenarios, servers, turns

LITTLE = Effort(seconds=0.5, streams=3, turns=3, turn_seconds=1, file_mib=2)
COUNTED = (", statements a request", ", statements a batch", ", statements a post and its delivery", ", commits")
"""What only who counts its statements can say."""
OURS_ALONE = ("conversations there", "list 100 of")
"""What is there to show that many conversations cost nothing; rows of the floor know no conversations."""


@pytest.mark.timeout(120)
@pytest.mark.parametrize("kind", servers.KINDS)
def test_the_floor_streams_turns_and_keeps_files(kind: str, tmp_path: Path) -> None:
    figures: list[Figure] = []
    with (
        servers.databases(kind, tmp_path) as create,
        servers.floor("floor", servers.for_floor(create("bare"))) as floor,
    ):
        for scenario in (scenarios.streaming, turns.streaming_bare, files.transferring_bare):
            figures += uvloop.run(scenario(floor, LITTLE))
    found = {figure.name: figure.value for figure in figures}
    assert found["events to 3 streams"] > 0
    assert found["3 turns at once, deltas lost"] == 0
    assert found["3 turns at once, deltas to watchers"] > 0
    assert found["download of 2 MiB"] > 0
    assert not [name for name in found if name.endswith(COUNTED)]


def test_every_scenario_on_the_page_stands_beside_its_floor() -> None:
    columns = report.read_kept("speed").columns
    for kind in servers.KINDS:
        alone = {
            name
            for name in columns[kind].keys() - columns[kind + report.FLOOR].keys()
            if not name.endswith(COUNTED) and not any(part in name for part in OURS_ALONE)
        }
        assert alone == set()
