"""Acts about playbooks: imported, published, put aside, looked at, tried."""

import asyncio
from collections.abc import Sequence

import msgspec

from workbench.domain.audit.model import Act, NewAuditEntry
from workbench.domain.clock import Clock
from workbench.domain.errors import ConflictError, InvalidError, NotFoundError, UnprocessableError
from workbench.domain.ids import new_id
from workbench.domain.playbooks.authors import Author, actor_of
from workbench.domain.playbooks.confidence import Thresholds
from workbench.domain.playbooks.deciding import decided
from workbench.domain.playbooks.findings import Finding
from workbench.domain.playbooks.matching import Report
from workbench.domain.playbooks.model import Playbook
from workbench.domain.playbooks.ports import Documents, PlaybookTx, WrittenAs
from workbench.domain.playbooks.reading import Checked, read_playbook
from workbench.domain.playbooks.shelf import AS_SHIPPED, Shelves, is_as_shipped, shelf_of, starter_id
from workbench.domain.playbooks.versions import (
    Imported,
    PlaybookVersion,
    StoredPlaybook,
    archived,
    imported,
    published,
)
from workbench.domain.playbooks.views import (
    ImportedPlaybook,
    ListedPlaybook,
    ListedVersion,
    PlaybookList,
    PlaybookView,
    Publication,
    Trial,
    TrialResult,
    Validation,
    VersionView,
)
from workbench.domain.transactions import Transactions, retrying

MAX_PLAYBOOKS = 500
MAX_VERSIONS = 100
SHOWN_CANDIDATES = 20


class PlaybookService:
    """Acts about playbooks. Whoever may not write them sees those that are published."""

    def __init__(
        self,
        transactions: Transactions[PlaybookTx],
        documents: Documents,
        shelves: Shelves,
        thresholds: Thresholds,
        clock: Clock,
    ) -> None:
        self._transactions = transactions
        self._documents = documents
        self._shelves = shelves
        self._thresholds = thresholds
        self._clock = clock

    async def validate(self, text: bytes, written_as: WrittenAs) -> Validation:
        """Tell everything that is amiss. Raises TooLargeError."""
        try:
            checked = await self._read(text, written_as)
        except UnprocessableError as error:
            findings = msgspec.convert(error.extra.get("findings", []), list[Finding])
            return Validation(key=None, is_valid=False, findings=findings)
        key = checked.playbook.key if checked.playbook else None
        return Validation(key=key, is_valid=key is not None, findings=checked.findings)

    async def import_text(
        self, principal: Author, text: bytes, written_as: WrittenAs, *, publish: bool = False, dry_run: bool = False
    ) -> ImportedPlaybook:
        """Keep a text as the next version, unless one that is there means the same; and have new sessions follow it.

        Raises UnprocessableError `invalid_playbook` with all findings, TooLargeError, ConflictError where there are too
        many.
        """
        checked = await self._read(text, written_as)
        checked.require()
        source = text.decode("utf-8-sig")
        return await retrying(lambda: self._import(principal, checked, source, publish=publish, dry_run=dry_run))

    async def _import(
        self, principal: Author, checked: Checked, source: str, *, publish: bool, dry_run: bool
    ) -> ImportedPlaybook:
        document, now = checked.require(), self._clock.now()
        async with self._transactions.write(principal.workspace_id) as tx:
            stored = await tx.playbooks.find(document.key)
            versions = list(await tx.playbooks.versions(stored.id)) if stored else []
            taken = imported(versions, checked, source, principal.id, now)
            playbook = stored or self._new(document)
            if stored is None:
                _require_room(len(await tx.playbooks.all()), MAX_PLAYBOOKS, "playbooks")
            if taken.version is not None:
                _require_room(len(versions), MAX_VERSIONS, "versions of a playbook")
            result = ImportedPlaybook(
                key=document.key, version=taken.number, status=taken.status, findings=checked.findings
            )
            if dry_run:
                return result
            if stored is None:
                tx.playbooks.add(playbook)
            if taken.version is not None:
                versions.append(taken.version)
                tx.playbooks.add_version(playbook.id, taken.version)
                _note(tx, principal, "playbook.imported", playbook, taken.number)
            return self._published_too(tx, principal, playbook, versions, taken, result) if publish else result

    def _published_too(
        self,
        tx: PlaybookTx,
        principal: Author,
        playbook: StoredPlaybook,
        versions: Sequence[PlaybookVersion],
        taken: Imported,
        result: ImportedPlaybook,
    ) -> ImportedPlaybook:
        if playbook.status == "published" and playbook.current_version == taken.number:
            return result
        current, version = published(playbook, versions, taken.number, self._clock.now())
        tx.playbooks.change(current)
        tx.playbooks.mark_published(playbook.id, version)
        _note(tx, principal, "playbook.published", playbook, taken.number)
        return msgspec.structs.replace(result, status="published")

    async def publish(self, principal: Author, key: str, wanted: Publication) -> PlaybookView:
        """Have new sessions follow a version; an older one goes back to it. Raises NotFoundError."""
        await retrying(lambda: self._publish(principal, key, wanted.version))
        return await self.get(principal, key)

    async def _publish(self, principal: Author, key: str, number: int | None) -> None:
        async with self._transactions.write(principal.workspace_id) as tx:
            stored = await tx.playbooks.find(key)
            shipped = self._shelves.starters.documents.get(key)
            if stored is None and shipped is None:
                raise _no_such_playbook()
            versions = await tx.playbooks.versions(stored.id) if stored else ()
            wanted = number if number is not None else (versions[-1].version if versions else AS_SHIPPED)
            if stored is None and wanted == AS_SHIPPED:
                return  # It is followed already.
            if stored is None:
                raise _no_such_version()
            if wanted == AS_SHIPPED:
                current = _as_shipped_again(stored, shipped)
            else:
                current, version = published(stored, versions, wanted, self._clock.now())
                tx.playbooks.mark_published(current.id, version)
            tx.playbooks.change(current)
            _note(tx, principal, "playbook.published", current, wanted)

    async def archive(self, principal: Author, key: str) -> PlaybookView:
        """Offer it to new sessions no more; those that follow it go on. Raises NotFoundError."""
        await retrying(lambda: self._archive(principal, key))
        return await self.get(principal, key)

    async def _archive(self, principal: Author, key: str) -> None:
        async with self._transactions.write(principal.workspace_id) as tx:
            stored = await tx.playbooks.find(key)
            shipped = self._shelves.starters.documents.get(key)
            if stored is not None:
                tx.playbooks.change(archived(stored))
            elif shipped is not None:
                stored = self._new(shipped)
                tx.playbooks.add(archived(stored))
            else:
                raise _no_such_playbook()
            _note(tx, principal, "playbook.archived", stored, stored.current_version)

    async def all(self, principal: Author) -> PlaybookList:
        """The workspace's playbooks, those that come with the package among them, by their keys."""
        async with self._transactions.read(principal.workspace_id) as tx:
            stored = await tx.playbooks.all()
        listed = [self._listed(each) for each in stored]
        there = {each.key for each in stored}
        listed += [_shipped(document) for key, document in self._shelves.starters.documents.items() if key not in there]
        shown = [each for each in listed if principal.writes_playbooks or each.status == "published"]
        return PlaybookList(playbooks=sorted(shown, key=lambda each: each.key))

    async def get(self, principal: Author, key: str) -> PlaybookView:
        """One playbook with its versions. Raises NotFoundError."""
        async with self._transactions.read(principal.workspace_id) as tx:
            stored = await tx.playbooks.find(key)
            versions = await tx.playbooks.versions(stored.id) if stored else ()
        shipped = self._shelves.starters.documents.get(key)
        listed = self._listed(stored) if stored else _shipped(shipped) if shipped else None
        if listed is None or not (principal.writes_playbooks or listed.status == "published"):
            raise _no_such_playbook()
        told = [_told(each) for each in versions if principal.writes_playbooks or each.published_at is not None]
        first = [ListedVersion(version=AS_SHIPPED)] if shipped else []
        return PlaybookView(**msgspec.structs.asdict(listed), versions=[*first, *told])

    async def version(self, principal: Author, key: str, number: int) -> VersionView:
        """One version with its document and its text. Raises NotFoundError."""
        view = await self.get(principal, key)
        shelf = self._shelves.starters
        if number == AS_SHIPPED and key in shelf.documents:
            return VersionView(
                version=number, key=key, document=shelf.documents[key], source_text=shelf.texts[key], findings=[]
            )
        async with self._transactions.read(principal.workspace_id) as tx:
            versions = await tx.playbooks.versions(view.id)
        seen = {each.version for each in view.versions}
        found = next((each for each in versions if each.version == number and number in seen), None)
        if found is None:
            raise _no_such_version()
        return VersionView(
            **msgspec.structs.asdict(_told(found)),
            key=key,
            document=found.document,
            source_text=found.source_text,
            findings=found.findings,
        )

    async def match(self, principal: Author, trial: Trial) -> TrialResult:
        """Say which playbooks a report would find, and what would be done; nothing is begun."""
        if not trial.text.strip():
            raise InvalidError("text is blank", code="validation_error", field="text")
        async with self._transactions.read(principal.workspace_id) as tx:
            shelf = await shelf_of(tx, self._shelves, principal.workspace_id)
        ranked = shelf.index.ranked(Report(text=trial.text, fields=trial.fields))
        return TrialResult(decision=decided(ranked, self._thresholds).kind, candidates=ranked[:SHOWN_CANDIDATES])

    async def _read(self, text: bytes, written_as: WrittenAs) -> Checked:
        """In a thread: a large document takes a while, in which others are to be served."""
        return read_playbook(await asyncio.to_thread(self._documents.read, text, written_as))

    def _new(self, document: Playbook) -> StoredPlaybook:
        is_starter = document.key in self._shelves.starters.documents
        return StoredPlaybook(
            id=starter_id(document.key) if is_starter else new_id(),
            key=document.key,
            title=document.title,
            domain=document.domain,
        )

    def _listed(self, stored: StoredPlaybook) -> ListedPlaybook:
        """A draft in the place of one that comes with the package leaves that one published."""
        shipped = self._shelves.starters.documents.get(stored.key)
        if shipped is not None and is_as_shipped(stored):
            return _shipped(shipped)
        return ListedPlaybook(**{name: getattr(stored, name) for name in ListedPlaybook.__struct_fields__})


def _shipped(document: Playbook) -> ListedPlaybook:
    return ListedPlaybook(
        id=starter_id(document.key),
        key=document.key,
        title=document.title,
        domain=document.domain,
        status="published",
        current_version=AS_SHIPPED,
    )


def _as_shipped_again(stored: StoredPlaybook, shipped: Playbook | None) -> StoredPlaybook:
    """Raises NotFoundError where none comes with the package."""
    if shipped is None:
        raise _no_such_version()
    return msgspec.structs.replace(
        stored, status="published", current_version=AS_SHIPPED, title=shipped.title, domain=shipped.domain
    )


def _told(version: PlaybookVersion) -> ListedVersion:
    return ListedVersion(
        version=version.version,
        imported_by=version.imported_by,
        created_at=version.created_at,
        published_at=version.published_at,
        warning_count=len(version.findings),
    )


def _note(tx: PlaybookTx, principal: Author, act: Act, playbook: StoredPlaybook, version: int | None) -> None:
    detail = {"version": version}
    tx.audit.record(NewAuditEntry(actor=actor_of(principal), act=act, subject=playbook.key, detail=detail))


def _require_room(count: int, limit: int, what: str) -> None:
    if count >= limit:
        raise ConflictError(f"There may be {limit} {what}", code="too_many", extra={"limit": limit})


def _no_such_playbook() -> NotFoundError:
    return NotFoundError("There is no such playbook", code="playbook_not_found")


def _no_such_version() -> NotFoundError:
    return NotFoundError("The playbook has no such version", code="version_not_found")
