"""Who acts on playbooks: callers, and operators on the machine that has the settings."""

import msgspec

from workbench.domain.audit.model import Actor
from workbench.domain.identity.model import Principal


class Operator(msgspec.Struct, frozen=True, kw_only=True):
    """Whoever looks after a workspace by commands. They may write its playbooks."""

    workspace_id: str
    actor: Actor
    writes_playbooks: bool = True

    @property
    def id(self) -> str:
        """Whom a version is said to be imported by."""
        return self.actor.id


Author = Principal | Operator


def actor_of(author: Author) -> Actor:
    """Whom the record of acts names."""
    return author.actor if isinstance(author, Operator) else Actor.of(author)
