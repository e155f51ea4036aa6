"""The playbooks that come with the package. They are imported when somebody asks for them, never by themselves."""

from importlib.resources import files

_FOLDER = "starters"
_ENDING = ".yaml"


def starter_texts() -> dict[str, bytes]:
    """The texts of all starter playbooks, YAML in UTF-8, by their keys."""
    entries = sorted(files(__package__ or "").joinpath(_FOLDER).iterdir(), key=lambda entry: entry.name)
    return {each.name.removesuffix(_ENDING): each.read_bytes() for each in entries if each.name.endswith(_ENDING)}
