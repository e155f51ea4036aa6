"""Images of a question that are too large to stand in it: they become files of the conversation."""

from collections.abc import AsyncIterator, Sequence

from workbench.domain.files.model import IncomingFile
from workbench.domain.parts.images import ImageFile


class Pictures:
    """Images as an upload."""

    def __init__(self, images: Sequence[ImageFile]) -> None:
        """Two that are the same have one name, and are one file."""
        self._images = {image.filename: image for image in images}.values()

    async def files(self) -> AsyncIterator[IncomingFile]:
        """The images, one after the other."""
        for image in self._images:
            yield IncomingFile(filename=image.filename, content_type=image.content_type, chunks=_whole(image.content))

    def metadata(self) -> str | None:
        """There is nothing to be said of them."""
        return None


async def _whole(content: bytes) -> AsyncIterator[bytes]:
    yield content
