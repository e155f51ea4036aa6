"""Several applications in one process: making a further one costs no more than the one before it."""

from pathlib import Path

from workbench.entrypoints.http.app import CONTROLLERS, create_app
from workbench.wiring.settings import Settings


def layers() -> list[int]:
    """How many functions lie around each controller's own way to name its handlers."""
    depths: list[int] = []
    for controller in CONTROLLERS:
        function, depth = controller.get_route_handlers, 0
        while (inner := getattr(function, "__wrapped__", None)) is not None:
            function, depth = inner, depth + 1
        depths.append(depth)
    return depths


def test_a_further_application_weaves_nothing_in_anew(tmp_path: Path) -> None:
    create_app(Settings.of(data_root=tmp_path / "first"))
    woven = layers()
    create_app(Settings.of(data_root=tmp_path / "second"))
    assert layers() == woven
    assert set(woven) == {1}
