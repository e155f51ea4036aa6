"""What is made to stay to the end of the process is not looked through for garbage, neither meanwhile nor later."""

import gc
from collections.abc import Generator
from contextlib import contextmanager


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
