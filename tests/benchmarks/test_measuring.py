"""What the benchmarks reckon and draw, and the load put on a real server for a few seconds."""

import json
import math
import re
import signal
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from benchmarks.chart import draw
from benchmarks.memory import settled, slope_an_hour
from benchmarks.profiling import LOOP, read_stacks
from benchmarks.report import Machine, Results
from benchmarks.scenarios import Figure
from benchmarks.targets import MANY, ONE, TARGETS, YARDSTICKS, Target
from benchmarks.watchers import Follower, Watched
from benchmarks.words import hear, say

from benchmarks import load, report, servers

SVG = "{http://www.w3.org/2000/svg}"
MACHINE = Machine(
    name="x86_64 Linux", cores=2, memory_gib=24, python="3.11.7", commit="abc", date="2026-01-01", busy=0.1
)


def figures(*values: tuple[str, float, str]) -> dict[str, Figure]:
    return {name: Figure(name, value, unit) for name, value, unit in values}


def test_memory_that_grows_a_mib_a_minute_grows_sixty_an_hour() -> None:
    assert slope_an_hour([(at, 100 + at / 60) for at in range(600)]) == pytest.approx(60)


def test_memory_that_goes_up_and_down_is_flat() -> None:
    assert slope_an_hour([(at, 100 + at % 2) for at in range(601)]) == pytest.approx(0)


def test_one_moment_has_no_slope() -> None:
    with pytest.raises(ValueError, match="two moments"):
        slope_an_hour([(1.0, 100.0)])


def test_the_warm_up_does_not_count() -> None:
    assert [at for at, _ in settled([(at, 1.0) for at in range(10)])] == list(range(2, 10))


def test_a_message_says_its_number_and_when_it_was_sent() -> None:
    ((first, one), (second, two)) = hear((say(7) + say(8)).encode())
    assert (one, two) == (7, 8)
    assert first <= second


def test_a_stream_that_misses_and_repeats_is_told_on() -> None:
    watched = Watched()
    follower = Follower(watched, "/events")
    for number in (0, 1, 1, 4):
        follower._note(number, 0.003)
    assert (watched.events, watched.missed, watched.repeated) == (4, 2, 1)
    assert watched.late_quantile(0.5) == 3


def test_what_two_processes_watched_counts_together() -> None:
    one, other = Watched(), Watched()
    one.missed, other.missed = 1, 2
    one.late_ms[1], other.late_ms[1000] = 99, 1
    both = one + other
    assert (both.missed, both.late_quantile(0.5), both.late_quantile(1.0)) == (3, 1, 1000)
    assert math.isnan(Watched().late_quantile(0.5))


@pytest.mark.parametrize(
    ("target", "value", "reached"),
    [
        (Target(800, "/s"), 800, True),
        (Target(800, "/s"), 799, False),
        (Target(25, "ms", at_most=True), 25, True),
        (Target(25, "ms", at_most=True), 26, False),
    ],
)
def test_a_target_is_reached_or_not(target: Target, value: float, reached: bool) -> None:
    assert target.is_reached_by(value) is reached


def test_the_chart_has_a_bar_for_each_figure_to_its_scale_and_a_line_for_the_target() -> None:
    columns = {
        "sqlite": figures(("post, 1 client", 1600.0, "/s"), ("<list>", 3.0, "ms")),
        "floor": figures(("post, 1 client", 400.0, "/s")),
    }
    picture = ET.fromstring(draw(columns, TARGETS))
    long = [float(bar.attrib["width"]) for bar in picture.iter(f"{SVG}rect")]
    (line,) = picture.iter(f"{SVG}line")
    left = float(next(picture.iter(f"{SVG}rect")).attrib["x"])
    assert len(long) == 3
    assert long[1] == pytest.approx(long[0] / 4, abs=0.1)
    assert float(line.attrib["x1"]) - left == pytest.approx(long[0] / 2, abs=0.1)
    assert "<list>" in [text.text for text in picture.iter(f"{SVG}text")]


def test_the_table_says_which_targets_are_reached_but_asks_nothing_of_the_floor() -> None:
    columns = {
        "sqlite": figures(("post, 1 client", 900.0, "/s"), ("post, 16 clients", 1900.0, "/s")),
        "sqlite floor": figures(("post, 1 client", 10.0, "/s")),
    }
    assert report.table(columns).splitlines()[2:] == [
        "| post, 1 client | 900.0 /s, reached | 10.0 /s | at least 800 /s |",
        "| post, 16 clients | 1,900.0 /s, **not reached** |  | at least 2,000 /s |",
    ]


def test_a_slower_machine_is_held_to_its_own_pace() -> None:
    assert Target(800, "/s").at(0.5).value == 400
    assert Target(25, "ms", at_most=True).at(0.5).value == 50
    columns = {
        "sqlite": figures(
            ("post, 1 client", 401.0, "/s"), ("post, 16 clients", 999.0, "/s"), ("memory a stream", 21.0, "KiB")
        ),
        "sqlite floor": figures((ONE, YARDSTICKS[ONE] / 2, "/s"), (MANY, YARDSTICKS[MANY] / 2, "/s")),
    }
    cells = [line.split(" | ")[1] for line in report.table(columns).splitlines()[2:5]]
    assert cells == [
        "401.0 /s, **not reached** (for the pace it is)",
        "999.0 /s, **not reached**",
        "21.0 KiB, **not reached**",
    ]


def test_a_faster_machine_is_asked_no_more_than_was_wanted() -> None:
    columns = {
        "sqlite": figures(("post, 1 client", 801.0, "/s")),
        "sqlite floor": figures((ONE, YARDSTICKS[ONE] * 2, "/s")),
    }
    assert "801.0 /s, reached |" in report.table(columns)


def test_figures_of_a_busy_machine_are_not_final() -> None:
    assert "Not final" not in str(MACHINE)
    assert "**Not final**: others had 9.2 of the processors" in str(Machine(**{**vars(MACHINE), "busy": 9.2}))


def test_results_are_written_between_the_comments_and_again_over_themselves(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- measured: speed -->\nold\n<!-- end of speed -->\nafter\n", encoding="utf-8")
    results = Results(MACHINE, {"sqlite": figures(("post, 1 client", 900.0, "/s"))})
    report.write("speed", results, page)
    once = page.read_text(encoding="utf-8")
    report.write("speed", results, page)
    assert page.read_text(encoding="utf-8") == once
    assert once.startswith("before\n<!-- measured: speed -->\nMeasured on 2026-01-01")
    assert once.endswith("<!-- end of speed -->\nafter\n")
    assert "old" not in once
    assert (tmp_path / "images" / "speed.svg").exists()


def test_a_page_without_a_place_for_the_results_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing", encoding="utf-8")
    with pytest.raises(ValueError, match="no place for speed"):
        report.write("speed", Results(MACHINE, {}), page)


@pytest.mark.parametrize("part", ["speed", "load", "flows", "profile"])
def test_the_page_has_a_place_for_each_part(part: str, tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text((report.ROOT / "docs" / "performance.md").read_text(encoding="utf-8"), encoding="utf-8")
    report.write(part, Results(MACHINE, {"sqlite": figures(("post, 1 client", 900.0, "/s"))}), page)
    assert str(MACHINE) in page.read_text(encoding="utf-8")


def test_a_moment_belongs_to_the_innermost_room_or_library() -> None:
    profile = read_stacks(
        [
            "run (asyncio/runners.py:1);post (workbench/domain/messages/service.py:2);uuid4 (uuid.py:3) 6",
            "run (asyncio/runners.py:1);post (workbench/domain/messages/service.py:2);call (litestar/a.py:1) 3",
            "run (asyncio/runners.py:1);select (selectors.py:9) 1",
        ]
    )
    assert profile.rooms == {"domain": 6, "Litestar": 3, LOOP: 1}
    assert profile.functions == {"`post` in workbench/domain/messages/service.py": 6}
    assert [figure.value for figure in profile.shares()] == pytest.approx([60, 30, 10])


def loaded(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, str]:
    """The figures of a load, by name."""
    load.main(arguments)
    return dict(re.findall(r"^\| ([^|]+) \| ([^|]+) \|", capsys.readouterr().out, re.MULTILINE))


@pytest.mark.timeout(180)
@pytest.mark.parametrize("kind", servers.KINDS)
def test_a_little_load_for_a_few_seconds_makes_no_error(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    little = "--seconds 3 --rate 20 --streams 8 --conversations 4 --seats 2 --idle 0"
    shown = loaded(capsys, *little.split(), "--only", kind)
    for nothing in (
        "posts refused or failed",
        "events missed on streams",
        "events repeated or out of order on streams",
        "events not delivered",
    ):
        assert shown[nothing] == "0, reached"
    assert "memory grows by" in shown
    assert float(shown["events to streams"].split()[0]) > 0
    assert float(shown["statements a post, deliveries included"]) > 2


@pytest.mark.timeout(180)
def test_idle_streams_stay_open_and_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    shown = loaded(capsys, *["--seconds", "0", "--idle", "20", "--idle-seconds", "2", "--only", "sqlite"])
    assert shown["idle streams that broke"] == "0, reached"
    assert "20 idle streams, server's memory" in shown


STEPPED = """
def double(number):
    return number + number

for line in iter(input, "end"):
    print([double(number) for number in range(int(line))], flush=True)
"""


def test_steps_are_counted_by_function_from_one_signal_to_the_other(tmp_path: Path) -> None:
    program, file = tmp_path / "program.py", tmp_path / "steps.json"
    program.write_text(STEPPED)
    command = [sys.executable, "-m", "benchmarks.stepping", file, sys.executable, program]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def ask(line: str) -> str:
            print(line, file=process.stdin, flush=True)
            return process.stdout.readline() if process.stdout else ""

        def signal_and_wait(which: signal.Signals, *, filled: bool) -> None:
            process.send_signal(which)
            # A program that waits for a line looks at signals when it comes.
            ask("0")
            assert bool(file.stat().st_size) == filled

        assert ask("2") == "[0, 2]\n"
        signal_and_wait(signal.SIGUSR1, filled=False)
        assert ask("3") == "[0, 2, 4]\n"
        signal_and_wait(signal.SIGUSR2, filled=True)
        assert ask("1") == "[0]\n"
        print("end", file=process.stdin, flush=True)
        assert process.wait(10) == 0
    (counted,) = (each for each in json.loads(file.read_text()) if each[0].endswith(" double"))
    assert counted[1] == 3
    assert counted[2] > 3
