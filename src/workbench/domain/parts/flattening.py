"""Parts as plain text and back, for those who know no parts and for models."""

from workbench.domain.parts.model import FILE_PREFIX, NO_RESPONSE, Part, Parts, is_blank, text_part


def spoken_text(parts: Parts) -> str:
    """What was said: the texts that are not blank, a blank line between them; empty if there are none.

    This is also what a model is told of an earlier message: never reasoning, calls of tools, states or data (3.3, X7).
    """
    texts = [part["text"] for part in parts if part["type"] == "text"]
    return "\n\n".join(text for text in texts if not is_blank(text))


def images_of(parts: Parts) -> Parts:
    """The images, which a model is shown beside a user's text if it takes any (3.3)."""
    return [part for part in parts if part["type"] == "image"]


def flattened(parts: Parts) -> str:
    """The `content` of a message for those who know no parts (3.3).

    What was said; else the last state that says something; else `(image)` if there is one; else that there is nothing.
    """
    states = [part["text"] for part in parts if part["type"] == "status" and not is_blank(part["text"])]
    return spoken_text(parts) or (states[-1] if states else "(image)" if images_of(parts) else NO_RESPONSE)


def parts_of(content: str) -> Parts:
    """The parts of a message that was sent without any: one text (3.3)."""
    return [text_part(content)]


def filenames_of(parts: Parts) -> list[str]:
    """The files of the conversation that its images are, each once (3.3)."""
    names = [_filename(part) for part in images_of(parts)]
    return list(dict.fromkeys(name for name in names if name))


def _filename(part: Part) -> str:
    image: str = part["image"]
    return image.removeprefix(FILE_PREFIX) if image.startswith(FILE_PREFIX) else ""
