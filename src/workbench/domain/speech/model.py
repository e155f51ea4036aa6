"""What a client needs to call the speech service."""

import msgspec


class SpeechToken(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A token and the region that it is for; both are absent where there is no speech service."""

    token: str = ""
    region: str = ""
