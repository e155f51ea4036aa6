"""The playbook on its page is one, and the page tells every field and type that there is."""

import re
from pathlib import Path

from docs import generate
from workbench.adapters.playbooks.documents import read_document
from workbench.domain.playbooks.model import NODE_TYPES, RESOLUTION_ACTIONS, RISKS, URGENCIES
from workbench.domain.playbooks.reading import read_playbook

PAGE = (Path(generate.__file__).parent / "reference" / "playbooks.md").read_text(encoding="utf-8")


def test_the_playbook_on_the_page_is_sound() -> None:
    shown = re.search(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert shown is not None
    read = read_playbook(read_document(shown[1].encode(), "yaml"))
    assert read.findings == []
    assert read.require().key == "printer-offline"


def test_the_page_tells_every_word_that_may_be_written() -> None:
    told = set(re.findall(r"`([a-z_]+)`", PAGE))
    assert [word for word in (*NODE_TYPES, *RISKS, *URGENCIES, *RESOLUTION_ACTIONS) if word not in told] == []
