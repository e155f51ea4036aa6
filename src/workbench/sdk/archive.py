"""What an assistant or a conversation takes along when it is exported: our part, and the author's."""

import io
import zipfile

import msgspec

from workbench.sdk.errors import RefusedError
from workbench.sdk.model import Json

OURS = "sdk.json"
THEIRS = "data"


class Archive(msgspec.Struct, frozen=True):
    """What is packed: config or states, and the bytes of the author's own hook, if there is one."""

    values: Json
    data: bytes | None

    def packed(self) -> bytes:
        """Pack it into a zip file."""
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr(OURS, msgspec.json.encode(self.values))
            if self.data is not None:
                file.writestr(THEIRS, self.data)
        return packed.getvalue()

    @classmethod
    def unpacked(cls, packed: bytes, limit_bytes: int) -> "Archive":
        """Unpack it. Raises RefusedError for what is no archive of ours, and for one that is too large."""
        try:
            with zipfile.ZipFile(io.BytesIO(packed)) as file:
                if sum(entry.file_size for entry in file.infolist()) > limit_bytes:
                    raise RefusedError(f"more than {limit_bytes} bytes are packed into the archive")
                data = file.read(THEIRS) if THEIRS in file.namelist() else None
                return cls(msgspec.json.decode(file.read(OURS), type=Json), data)
        except (zipfile.BadZipFile, KeyError, msgspec.DecodeError) as error:
            raise RefusedError(f"not an archive of this service: {error}") from error
