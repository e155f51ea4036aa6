"""The texts of files that come with what is said, as far as a model can be shown them (7.7)."""

from collections.abc import Sequence

import msgspec

from workbench.domain.contents.model import ByteRange
from workbench.domain.contents.ports import ContentStore
from workbench.domain.errors import WorkbenchError
from workbench.domain.files.model import Download
from workbench.domain.texts import cleaned_text
from workbench.domain.troubleshooting.masking import masked
from workbench.domain.troubleshooting.writers import Source

MAX_READ = 20_000
"""How many characters of all files together."""
_BYTES_OF_A_CHARACTER = 4
_TEXTS = frozenset(
    {"application/json", "application/xml", "application/yaml", "application/x-yaml", "application/toml"}
)


class ReadUploads(msgspec.Struct, frozen=True, kw_only=True):
    """What could be read, and the names of what could not."""

    sources: Sequence[Source] = ()
    unread: Sequence[str] = ()


async def read_uploads(store: ContentStore, downloads: Sequence[Download], room: int = MAX_READ) -> ReadUploads:
    """Read texts until so many characters are read. What is no text, or cannot be had, stays unread, and keeps nobody up."""
    sources: list[Source] = []
    unread: list[str] = []
    for download in downloads:
        text = await _text(store, download, room) if room and _is_text(download) else None
        if text is None:
            unread.append(download.filename)
            continue
        sources.append(Source(kind="upload", id=download.filename, title=download.filename, text=text))
        room -= len(text)
    return ReadUploads(sources=sources, unread=unread)


def _is_text(download: Download) -> bool:
    kind = download.content_type.partition(";")[0].strip().lower()
    return kind.startswith("text/") or kind in _TEXTS


async def _text(store: ContentStore, download: Download, room: int) -> str | None:
    end = min(download.size, room * _BYTES_OF_A_CHARACTER)
    if not end:
        return ""
    try:
        chunks = [chunk async for chunk in await store.read(download.storage_key, ByteRange(start=0, end=end))]
        # What is cut may end within a character.
        text = b"".join(chunks).decode("utf-8", "strict" if end == download.size else "ignore")
    except (WorkbenchError, UnicodeDecodeError):
        return None
    return masked(cleaned_text(text))[:room]
