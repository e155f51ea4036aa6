"""How the texts of playbooks are read, and those that come with the package."""

from dishka import Provider, Scope, provide  # pyright: ignore[reportUnknownVariableType]

from workbench.adapters.playbooks.documents import read_document
from workbench.adapters.playbooks.starters import starter_texts
from workbench.domain.playbooks.fields import Tree
from workbench.domain.playbooks.ports import Documents, Starters, WrittenAs
from workbench.domain.playbooks.reading import read_playbook


class TextDocuments(Documents):
    """YAML and JSON."""

    def read(self, text: bytes, written_as: WrittenAs) -> Tree:
        """Read, without guessing types."""
        return read_document(text, written_as)


class PlaybookTexts(Provider):
    """Read playbooks."""

    scope = Scope.APP

    documents = provide(TextDocuments, provides=Documents)

    @provide
    def starters(self) -> Starters:
        """Read those that come with the package, once."""
        texts = starter_texts()
        documents = (read_playbook(read_document(text, "yaml")).require() for text in texts.values())
        return Starters(
            texts={key: text.decode() for key, text in texts.items()},
            documents={document.key: document for document in documents},
        )
