"""Ids: whoever seeds the common generator, as programs and tests do, gets no id a second time."""

import random

from workbench.domain.ids import new_hex_id, new_id

RANDOM_BITS = (1 << 62) - 1


def test_a_seed_elsewhere_brings_no_id_back() -> None:
    seen: set[object] = set()
    for _ in range(3):
        random.seed(7)
        seen |= {new_id().int & RANDOM_BITS, new_hex_id()}
    assert len(seen) == 6
