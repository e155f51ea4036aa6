"""Sealing all secrets of ticket systems anew, under a new key."""

from workbench.domain.tickets.model import TicketSystemError
from workbench.domain.tickets.ports import SealedSecrets, SecretBox, SecretKeys
from workbench.domain.tickets.service import owner_of


class RotationService:
    """For operators: what is sealed is sealed anew while the service goes on."""

    def __init__(self, secrets: SealedSecrets, box: SecretBox, keys: SecretKeys) -> None:
        self._secrets = secrets
        self._box = box
        self._keys = keys

    async def rotate(self) -> tuple[int, int]:
        """Make a key, and seal everything under it; how many secrets, and how many could not be opened.

        The key before it stays until the next time, older ones go, unless a secret could not be opened or was changed
        meanwhile; the service's own, under which all are sealed at first, stays in any case.
        """
        self._keys.renew()
        count = unopened = 0
        is_whole = True
        for workspace_id, connection_id, sealed in await self._secrets.all():
            owner = owner_of(workspace_id, connection_id)
            try:
                new = self._box.seal(owner, self._box.open(owner, sealed))
            except TicketSystemError:
                unopened += 1
                continue
            is_whole = await self._secrets.replace(workspace_id, connection_id, sealed, new) and is_whole
            count += 1
        if is_whole and not unopened:
            self._keys.forget_older()
        return count, unopened
