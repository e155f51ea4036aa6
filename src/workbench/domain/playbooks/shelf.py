"""The playbooks that a workspace has to choose from, prepared for matching and kept until one of them changes."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from uuid import UUID, uuid5

import msgspec

from workbench.domain.playbooks.matching import PlaybookIndex
from workbench.domain.playbooks.model import Playbook
from workbench.domain.playbooks.ports import PlaybookReadTx, Starters
from workbench.domain.playbooks.versions import StoredPlaybook

AS_SHIPPED = 0
"""The number of the version that comes with the package; what is imported counts from 1."""
KEPT = 256
"""The workspaces whose playbooks are kept prepared."""

_NAMES = UUID("9f6ad4b0-3f0e-4a53-8f5b-5d1a2f0c7e61")

Mark = tuple[tuple[str, str, int | None], ...]


class Shelved(msgspec.Struct, frozen=True, kw_only=True):
    """A playbook that new sessions may follow, and which version of it."""

    id: UUID
    version: int
    playbook: Playbook


class Shelf(msgspec.Struct, frozen=True):
    """What a workspace has to choose from, by keys, and an index to find it by."""

    playbooks: Mapping[str, Shelved]
    index: PlaybookIndex

    def with_id(self, playbook_id: UUID) -> Shelved | None:
        """The playbook of an id."""
        return next((each for each in self.playbooks.values() if each.id == playbook_id), None)


class Shelves:
    """The shelves of all workspaces, as far as they are kept.

    A shelf is told from an older one by the versions that are followed, which are read each time: so no process has to
    be told what another one has published.
    """

    def __init__(self, starters: Starters) -> None:
        self.starters = starters
        self._kept: OrderedDict[str, tuple[Mark, Shelf]] = OrderedDict()
        self._shipped = _shelf(self._as_shipped(()))

    def kept(self, workspace_id: str, stored: Sequence[StoredPlaybook]) -> Shelf | None:
        """The shelf for what is stored now, if it is at hand."""
        if not stored:
            return self._shipped
        mark, shelf = self._kept.get(workspace_id, (None, None))
        if shelf is None or mark != _mark(stored):
            return None
        self._kept.move_to_end(workspace_id)
        return shelf

    def prepare(self, workspace_id: str, stored: Sequence[StoredPlaybook], own: Sequence[Playbook]) -> Shelf:
        """Make the shelf of what is stored now, and keep it. `own` are the documents that the workspace follows."""
        documents = {each.key: each for each in own}
        shelved = self._as_shipped(stored)
        for each in stored:
            document = documents.get(each.key)
            if each.status == "published" and each.current_version and document is not None:
                shelved[each.key] = Shelved(id=each.id, version=each.current_version, playbook=document)
        shelf = _shelf(shelved)
        self._kept[workspace_id] = (_mark(stored), shelf)
        self._kept.move_to_end(workspace_id)
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return shelf

    def _as_shipped(self, stored: Sequence[StoredPlaybook]) -> dict[str, Shelved]:
        """Those that come with the package, but for what the workspace has put something else in the place of."""
        replaced = {each.key for each in stored if not is_as_shipped(each)}
        return {
            key: Shelved(id=starter_id(key), version=AS_SHIPPED, playbook=document)
            for key, document in self.starters.documents.items()
            if key not in replaced
        }


async def shelf_of(tx: PlaybookReadTx, shelves: Shelves, workspace_id: str) -> Shelf:
    """What the workspace has to choose from now."""
    stored = await tx.playbooks.all()
    kept = shelves.kept(workspace_id, stored)
    return kept or shelves.prepare(workspace_id, stored, await tx.playbooks.followed())


def starter_id(key: str) -> UUID:
    """The id of a playbook that comes with the package, the same everywhere."""
    return uuid5(_NAMES, key)


def is_as_shipped(stored: StoredPlaybook) -> bool:
    """Whether what is stored under the key of one that comes with the package leaves it as it is."""
    return stored.status == "draft" or (stored.status == "published" and stored.current_version == AS_SHIPPED)


def _mark(stored: Sequence[StoredPlaybook]) -> Mark:
    return tuple((each.key, each.status, each.current_version) for each in stored)


def _shelf(shelved: Mapping[str, Shelved]) -> Shelf:
    in_order = dict(sorted(shelved.items()))
    return Shelf(in_order, PlaybookIndex(each.playbook for each in in_order.values()))
