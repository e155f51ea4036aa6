"""Where the bytes of files lie, as settings have it."""

from dishka import Provider, Scope, provide  # pyright: ignore[reportUnknownVariableType]

from workbench.adapters.archives.unzips import ZipUnpacker
from workbench.adapters.archives.zips import ZipPacker
from workbench.adapters.storage.objects import local_store, remote_store
from workbench.domain.archive.model import ArchiveLimits
from workbench.domain.archive.ports import Packer, Unpacker
from workbench.domain.contents.ports import ContentStore
from workbench.wiring.setting_names import SettingsError
from workbench.wiring.settings import Settings


class Storage(Provider):
    """The store of contents."""

    scope = Scope.APP

    packer = provide(ZipPacker, provides=Packer)
    unpacker = provide(ZipUnpacker, provides=Unpacker)

    @provide
    def archive_limits(self, settings: Settings) -> ArchiveLimits:
        """Take archives in of no more than settings allow."""
        limits = settings.limits
        return ArchiveLimits(packed_bytes=limits.archive_bytes, unpacked_bytes=limits.archive_unpacked_bytes)

    @provide
    def store(self, settings: Settings) -> ContentStore:
        """Open it."""
        return open_store(settings)


def open_store(settings: Settings) -> ContentStore:
    """Open a remote store where a URL is set, otherwise the folder. Raises SettingsError."""
    storage = settings.storage
    if storage.url is None:
        return local_store(settings.storage_root)
    try:
        return remote_store(storage.url, {name: value.get_secret_value() for name, value in storage.options.items()})
    except ValueError as error:
        raise SettingsError({"WORKBENCH__STORAGE__OPTIONS": str(error)}) from None
