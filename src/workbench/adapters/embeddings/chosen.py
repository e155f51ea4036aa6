"""Which workspace's vectors are made by what."""

from workbench.domain.embeddings.model import Descriptor
from workbench.domain.embeddings.ports import Embedder, Embedders

EVERYWHERE = "*"


class ChosenEmbedders(Embedders):
    """A model for the workspaces that opted in, since their texts leave the machine; the hashed vectors for all others.

    Of `workspaces` it is said once for all, as far as they decide nothing else.
    """

    def __init__(
        self, hashed: Embedder, model: Embedder | None = None, workspaces: frozenset[str] = frozenset()
    ) -> None:
        self._hashed = hashed
        self._model = model
        self._workspaces = workspaces

    def of(self, workspace_id: str, *, opted_in: bool | None) -> Embedder:
        """The model, where there is one and the workspace has opted in."""
        if opted_in is None:
            opted_in = EVERYWHERE in self._workspaces or workspace_id in self._workspaces
        return self._model if self._model is not None and opted_in else self._hashed

    def by(self, workspace_id: str, descriptor: Descriptor, *, opted_in: bool | None) -> Embedder | None:
        """The workspace's own, or the hashed ones, which can be made anywhere."""
        mine = (self.of(workspace_id, opted_in=opted_in), self._hashed)
        return next((each for each in mine if each.descriptor == descriptor), None)
