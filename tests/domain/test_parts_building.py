"""The parts of an input (S6 to S9, X11), and its limits (8)."""

import base64
import hashlib
from typing import Any

import pytest

from workbench.domain.errors import TooLargeError, UnprocessableError
from workbench.domain.parts.building import build_input
from workbench.domain.parts.images import ImageFile
from workbench.domain.parts.mentions import kind_of
from workbench.domain.parts.model import MAX_INLINE_IMAGE_BYTES, MAX_TEXT_BYTES, Parts, Warned, text_part

PNG = b"\x89PNG\r\n\x1a\n"
MENTION = {"id": 11, "title": "Alpha", "document_type": "GENERAL"}


def base64_of(content: bytes) -> str:
    return base64.b64encode(content).decode()


def image(content: bytes = PNG, media_type: str = "image/png") -> dict[str, Any]:
    return {"media_type": media_type, "data": base64_of(content)}


def url(content: bytes = PNG, media_type: str = "image/png") -> str:
    return f"data:{media_type};base64,{base64_of(content)}"


def refused(*args: Any, **more: Any) -> tuple[str, str | None]:
    with pytest.raises((UnprocessableError, TooLargeError)) as raised:
        build_input(*args, **more)
    kind = "413 " if isinstance(raised.value, TooLargeError) else ""
    return f"{kind}{raised.value.error_code}", raised.value.field


def mentioned(*entries: Any) -> tuple[Parts, list[str]]:
    built = build_input("q", mentioned_documents=list(entries))
    return built.parts[1:], [f"{warned.code} {warned.path}" for warned in built.warnings]


def test_s6_a_query_is_one_text_part() -> None:
    built = build_input("list the files")
    assert (built.parts, built.content) == ([{"type": "text", "text": "list the files"}], "list the files")
    assert (built.files, built.warnings) == ([], [])


def test_s8_two_valid_mentions_are_one_part_with_the_two_triples() -> None:
    other = {"id": "b", "title": "Beta", "document_type": "FILE"}
    built = build_input("q", mentioned_documents=[{**MENTION, "score": 0.5, "account_name": "x"}, other])
    assert built.parts == [text_part("q"), {"type": "mentioned-documents", "documents": [MENTION, other]}]
    assert built.warnings == []


@pytest.mark.parametrize("missing", ["id", "title", "document_type"])
@pytest.mark.parametrize("as_null", [True, False])
def test_s9_an_entry_that_lacks_a_field_is_dropped_with_a_warning(missing: str, as_null: bool) -> None:
    kept = {name: value for name, value in MENTION.items() if name != missing}
    entry = {**kept, missing: None} if as_null else kept
    assert mentioned(entry) == ([], ["mention_dropped input.mentioned_documents[0]"])
    parts, warnings = mentioned(entry, MENTION)
    assert parts[0]["documents"] == [MENTION]
    assert warnings == ["mention_dropped input.mentioned_documents[0]"]


def test_s9_an_empty_list_of_mentions_is_text_only() -> None:
    assert mentioned() == ([], [])
    assert build_input("q", mentioned_documents=None).parts == [text_part("q")]


@pytest.mark.parametrize(
    "entry", ["a", None, [], {**MENTION, "id": True}, {**MENTION, "id": 1.5}, {**MENTION, "title": {}}]
)
def test_an_entry_that_cannot_be_a_mention_is_dropped(entry: Any) -> None:
    assert mentioned(entry) == ([], ["mention_dropped input.mentioned_documents[0]"])


@pytest.mark.parametrize("container", [{}, "text", 3, MENTION])
def test_a_wrong_container_is_dropped_and_the_input_succeeds(container: Any) -> None:
    built = build_input("q", mentioned_documents=container)
    assert built.parts == [text_part("q")]
    assert built.warnings == [Warned(code="mention_dropped", path="input.mentioned_documents")]


def test_titles_and_types_become_texts() -> None:
    assert mentioned({"id": 1, "title": 2, "document_type": 3})[0][0]["documents"] == [
        {"id": 1, "title": "2", "document_type": "3"}
    ]


def test_d8_mentions_are_cleaned() -> None:
    assert mentioned({**MENTION, "title": "a\x00"})[0][0]["documents"] == [{**MENTION, "title": "a\ufffd"}]


def test_a_connector_needs_its_type_and_is_named_by_its_title_if_by_nothing_else() -> None:
    connector = {"id": 1, "title": "Mail", "kind": "connector", "connector_type": "GMAIL"}
    named = {**connector, "account_name": "ann@example.org", "document_type": "X"}
    parts, warnings = mentioned(connector, named, {**connector, "connector_type": None})
    assert parts[0]["documents"] == [{**connector, "account_name": "Mail"}, named]
    assert warnings == ["mention_dropped input.mentioned_documents[2]"]


@pytest.mark.parametrize("kind", ["folder", "thread"])
def test_other_kinds_are_kept_and_need_no_type(kind: str) -> None:
    entry = {"id": 1, "title": "t", "kind": kind}
    assert mentioned({**entry, "connector_type": "x"})[0][0]["documents"] == [entry]


@pytest.mark.parametrize("kind", [{}, {"kind": "doc"}, {"kind": None}, {"kind": "galaxy"}, {"kind": []}])
def test_x11_a_mention_without_a_known_kind_reads_as_doc(kind: dict[str, Any]) -> None:
    assert kind_of(kind) == "doc"
    assert mentioned({**MENTION, **kind})[0][0]["documents"] == [MENTION]
    assert kind_of({"kind": "thread"}) == "thread"


def test_more_than_fifty_mentions_are_dropped_with_one_warning() -> None:
    parts, warnings = mentioned(*[MENTION] * 60)
    assert len(parts[0]["documents"]) == 50
    assert warnings == ["mention_limit input.mentioned_documents[50]"]
    assert mentioned(*[MENTION] * 50)[1] == []


def test_text_comes_first_then_images_in_order_then_mentions() -> None:
    jpeg, webp = b"\xff\xd8\xff", b"RIFF\0\0\0\0WEBP"
    built = build_input(
        "", images=[image(jpeg, "image/jpeg"), image(webp, "image/webp")], mentioned_documents=[MENTION]
    )
    assert built.parts == [
        text_part(""),
        {"type": "image", "image": url(jpeg, "image/jpeg"), "mediaType": "image/jpeg", "size": 3},
        {"type": "image", "image": url(webp, "image/webp"), "mediaType": "image/webp", "size": 12},
        {"type": "mentioned-documents", "documents": [MENTION]},
    ]
    assert built.content == "(image)"


def test_parts_are_put_in_order_and_keep_keys_that_are_unknown() -> None:
    picture = {"type": "image", "image": "workbench-file:a.png", "alt": {"x": 1}}
    mentions = {"type": "mentioned-documents", "documents": [MENTION, {}], "hue": 1}
    said = {"type": "text", "text": "b", "lang": "en"}
    parts = [mentions, picture, text_part("a"), mentions, said]
    built = build_input(None, parts, mentioned_documents=[MENTION], images=[image()])
    assert built.parts[:3] == [text_part("a"), said, picture]
    assert built.parts[3]["mediaType"] == "image/png"
    assert built.parts[4:] == [{"type": "mentioned-documents", "documents": [MENTION] * 3, "hue": 1}]
    assert built.content == "a\n\nb"
    assert [warned.path for warned in built.warnings] == ["input.parts[0].documents[1]", "input.parts[3].documents[1]"]
    assert build_input(None, [picture]).parts == [text_part(""), picture]


def test_images_above_64_kib_are_set_apart_as_files() -> None:
    small, large = PNG + bytes(MAX_INLINE_IMAGE_BYTES - len(PNG)), PNG + bytes(MAX_INLINE_IMAGE_BYTES)
    assert build_input("q", images=[image(small)]).files == []
    name = f"image-{hashlib.sha256(large).hexdigest()[:32]}.png"
    reference = {"type": "image", "image": f"workbench-file:{name}", "mediaType": "image/png", "size": len(large)}
    built = build_input(None, [{"type": "image", "image": url(large), "alt": "x"}], images=[image(large), image(small)])
    assert built.parts[1:3] == [{**reference, "alt": "x"}, reference]
    assert built.parts[3]["image"] == url(small)
    assert built.files == [ImageFile(filename=name, content_type="image/png", content=large)]


def test_exactly_one_of_content_and_parts_is_given() -> None:
    assert refused(None) == ("invalid_input", "input")
    assert refused("a", [text_part("a")]) == ("invalid_input", "input")


@pytest.mark.parametrize("blank", ["", " \n\t"])
def test_blank_text_without_an_image_is_refused(blank: str) -> None:
    assert refused(blank, mentioned_documents=[MENTION]) == ("empty_input", "input.content")
    assert refused(None, [text_part(blank)]) == ("empty_input", "input.parts")
    assert refused(None, []) == ("empty_input", "input.parts")


def test_a_text_is_limited_to_256_kib() -> None:
    fits = "ü" * (MAX_TEXT_BYTES // 2)
    assert build_input(fits).content == fits
    assert refused(fits + "a") == ("413 payload_too_large", "input.content")
    assert refused(None, [text_part(fits), text_part("a")]) == ("413 payload_too_large", "input.parts")


def test_more_parts_than_512_are_refused() -> None:
    assert len(build_input(None, [text_part("a")] * 512).parts) == 512
    assert refused(None, [text_part("a")] * 513) == ("413 payload_too_large", "input.parts")


def test_more_images_than_four_are_refused_wherever_they_come_from() -> None:
    part = {"type": "image", "image": url()}
    assert len(build_input(None, [part], images=[image()] * 3).parts) == 5
    assert refused(None, [part], images=[image()] * 4) == ("413 payload_too_large", "input.images")
    assert refused(None, [part] * 5) == ("413 payload_too_large", "input.images")


def test_an_image_is_limited_to_8_mib() -> None:
    fits = PNG + bytes((8 << 20) - len(PNG))
    assert len(build_input("q", images=[image(fits)]).files[0].content) == 8 << 20
    for more in (1, 2, 3, 1 << 20):
        assert refused("q", images=[image(fits + bytes(more))]) == ("413 payload_too_large", "input.images[0]")


@pytest.mark.parametrize(
    "wrong",
    [
        image(media_type="image/svg+xml"),
        image(b"<svg/>"),
        image(media_type="image/jpeg"),
        {"media_type": "image/png", "data": "!!!"},
        {"media_type": "image/png", "data": base64_of(PNG)[:-1]},
        {"media_type": "image/png", "data": "\u00fc" * 4},
        {"media_type": "image/png"},
        {"media_type": [], "data": ""},
        {},
        "image",
    ],
)
def test_an_image_that_is_none_is_refused(wrong: Any) -> None:
    assert refused("q", images=[image(), wrong]) == ("invalid_image", "input.images[1]")


@pytest.mark.parametrize("wrong", ["", "workbench-file:", "http://x/a.png", "data:image/png,abc", url(b"<svg/>")])
def test_an_image_part_is_an_image_in_base64_or_a_file(wrong: str) -> None:
    part = {"type": "image", "image": wrong}
    assert refused(None, [text_part("a"), part]) == ("invalid_image", "input.parts[1].image")


@pytest.mark.parametrize("images", [{}, "a", 1])
def test_images_are_a_list(images: Any) -> None:
    assert refused("q", images=images) == ("invalid_image", "input.images")


@pytest.mark.parametrize("kind", ["reasoning", "tool-call", "status", "data-x", "video", "", None, 1])
def test_parts_of_an_answer_are_none_of_an_input(kind: Any) -> None:
    assert refused(None, [text_part("a"), {"type": kind, "text": "a"}]) == ("unknown_part", "input.parts[1].type")


def test_parts_of_a_wrong_shape_are_refused() -> None:
    assert refused(None, ["a"]) == ("invalid_part", "input.parts[0]")
    assert refused(None, [{"type": "text", "text": 1}]) == ("invalid_part", "input.parts[0].text")
    assert refused(None, [{"type": "text"}]) == ("invalid_part", "input.parts[0]")
    assert refused(None, {"type": "text"}) == ("invalid_part", "input.parts")


def test_d8_an_input_is_cleaned_with_a_warning() -> None:
    assert build_input("a\x00").parts == [text_part("a\ufffd")]
    assert build_input("a\x00").warnings == [Warned(code="cleaned", path="input.content")]
    built = build_input(None, [text_part("a"), {"type": "text", "text": "b", "x": float("nan")}])
    assert built.parts[1] == {"type": "text", "text": "b", "x": None}
    assert built.warnings == [Warned(code="cleaned", path="input.parts[1]")]


def test_fields_and_warnings_are_named_below_a_path() -> None:
    assert refused("", path="turn.input") == ("empty_input", "turn.input.content")
    assert build_input("q", mentioned_documents=1, path="x").warnings[0].path == "x.mentioned_documents"
