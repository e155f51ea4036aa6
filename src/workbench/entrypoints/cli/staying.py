"""What is made to stay to the end of the process is not looked through for garbage, neither meanwhile nor later."""

import gc
import sys
from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType


@contextmanager
def made_to_stay() -> Generator[None]:
    """Make it within; what there is by the end of it is left out of every later look, which would hold up requests."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if collects:
            gc.enable()


def imported_to_stay(module: str) -> ModuleType:
    """Import; looking for garbage meanwhile takes two fifths of a quick command's time."""
    if module in sys.modules:
        return sys.modules[module]
    with made_to_stay():
        return import_module(module)
