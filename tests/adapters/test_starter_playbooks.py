"""The playbooks that come with the package are sound, are about what they should, and lead everyone to an end."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.adapters.playbooks.documents import read_document
from workbench.adapters.playbooks.starters import starter_texts
from workbench.domain.playbooks.answers import Answer, Reading, read_answer
from workbench.domain.playbooks.model import Playbook
from workbench.domain.playbooks.reading import read_playbook
from workbench.domain.playbooks.steps import Step
from workbench.domain.playbooks.walking import MAX_STEPS, Passed, Walk

TEXTS = starter_texts()
PLAYBOOKS = {key: read_playbook(read_document(text, "yaml")).require() for key, text in TEXTS.items()}
TOPICS = {
    "network-down", "dns-resolution", "vpn-connection", "printer-offline", "outlook-password", "sign-in-lockout",
    "mfa-prompt", "disk-full", "slow-computer", "backup-failed", "file-sync", "wifi-connection",
}  # fmt: skip


def test_there_is_one_for_each_topic() -> None:
    assert len(PLAYBOOKS) >= 12
    assert set(PLAYBOOKS) >= TOPICS


@pytest.mark.parametrize("key", TEXTS)
def test_it_is_sound_and_named_like_its_file(key: str) -> None:
    read = read_playbook(read_document(TEXTS[key], "yaml"))
    assert read.findings == []
    assert read.require().key == key


@pytest.mark.parametrize("playbook", PLAYBOOKS.values(), ids=lambda playbook: playbook.key)
def test_it_says_enough_to_be_of_use(playbook: Playbook) -> None:
    kinds = {node.type for node in playbook.nodes.values()}
    assert kinds >= {"question", "action", "verification", "resolution", "escalation"}
    assert len(playbook.nodes) >= 12
    assert len(playbook.match.examples) >= 5
    assert any(node.help for node in playbook.nodes.values())


def test_every_input_that_is_declared_is_shown_somewhere() -> None:
    for playbook in PLAYBOOKS.values():
        texts = " ".join(f"{node.prompt} {node.help}" for node in playbook.nodes.values())
        assert [name for name in playbook.inputs if f"{{{name}}}" not in texts] == []


@settings(max_examples=200, deadline=None)
@given(key=st.sampled_from(sorted(PLAYBOOKS)), data=st.data())
def test_whatever_is_answered_it_ends(key: str, data: st.DataObject) -> None:
    """Every way ends at a resolution or an escalation, within the steps that a session may have."""
    walk = Walk(playbook=PLAYBOOKS[key], match=0.8)
    path: list[Passed] = []
    step = walk.first()
    while step.suggestion is None:
        assert step.node_id is not None
        reading = answered(step, data)
        arrival = walk.after(path, step.node_id, reading)
        path.append(Passed(node_id=step.node_id, kind=reading.kind))
        step = walk.step(arrival, path)
        assert len(path) < MAX_STEPS
    assert step.step_type in {"resolution", "escalation"}


def answered(step: Step, data: st.DataObject) -> Reading:
    if step.allow_skip and data.draw(st.booleans()):
        return read_answer(step, Answer(skip=True))
    return read_answer(step, Answer(option_value=data.draw(st.sampled_from(step.options)).value))


def test_they_are_stored_and_read_back_as_they_are() -> None:
    for playbook in PLAYBOOKS.values():
        assert msgspec.json.decode(msgspec.json.encode(playbook), type=Playbook) == playbook
