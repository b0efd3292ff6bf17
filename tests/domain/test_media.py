"""Files: what they are by their bytes, how large they may be, what they are called."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarin_core.domain.ids import DeviceId, MediaId
from clarin_core.domain.media import (
    SIZE_MAX,
    Kept,
    Media,
    MediaState,
    MediaType,
    check_key,
    label_of,
    new_key,
)
from clarin_core.domain.media_types import HEAD_BYTES, Intake, is_shown, sniff
from clarin_core.errors import Invalid, NotFound, TooLarge, Unsupported
from clarin_core.testing.tenants import LATER, NOON

P, V, A, D, S = (
    MediaType.IMAGE, MediaType.VIDEO, MediaType.AUDIO, MediaType.DOCUMENT, MediaType.STICKER,
)  # fmt: skip
OFFICE = "application/vnd.openxmlformats-officedocument."
ZIP = b"PK\x03\x04\x14\x00"

KNOWN: list[tuple[bytes, str, tuple[MediaType, ...]]] = [
    (b"\xff\xd8\xff\xe0\x00\x10JFIF", "image/jpeg", (P,)),
    (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "image/png", (P,)),
    (b"GIF89a\x01\0", "image/gif", (P,)),
    (b"RIFF\x24\0\0\0WEBPVP8 ", "image/webp", (P, S)),
    (b"RIFF\x24\0\0\0WAVEfmt ", "audio/wav", (A,)),
    (b"RIFF\x24\0\0\0AVI LIST", "video/x-msvideo", (V,)),
    (b"\0\0\0\x18ftypmp42\0\0\0\0", "video/mp4", (V,)),
    (b"\0\0\0\x18ftypisom\0\0\0\0", "video/mp4", (V,)),
    (b"\0\0\0\x18ftyp3gp5\0\0\0\0", "video/3gpp", (V,)),
    (b"\0\0\0\x18ftypqt  \0\0\0\0", "video/quicktime", (V,)),
    (b"\0\0\0\x18ftypM4A \0\0\0\0", "audio/mp4", (A,)),
    (b"\0\0\0\x18ftypheic\0\0\0\0", "image/heic", (D,)),
    (b"\0\0\0\x18ftypxxxx\0\0\0\0", "application/octet-stream", (D,)),
    (b"OggS\0\x02" + b"\0" * 22 + b"OpusHead", "audio/ogg; codecs=opus", (A,)),
    (b"OggS\0\x02" + b"\0" * 22 + b"\x01vorbis", "audio/ogg", (A,)),
    (b"OggS\0\x02" + b"\0" * 22 + b"\x80theora", "application/octet-stream", (D,)),
    (b"\x1a\x45\xdf\xa3\x01B\x82\x84webm", "video/webm", (V,)),
    (b"\x1a\x45\xdf\xa3\x01B\x82\x88matroska", "video/x-matroska", (V,)),
    (b"ID3\x04\0\0", "audio/mpeg", (A,)),
    (b"\xff\xfb\x90\x64", "audio/mpeg", (A,)),
    (b"\xff\xf1\x50\x80", "audio/aac", (A,)),
    (b"#!AMR\n", "audio/amr", (A,)),
    (b"%PDF-1.7\n", "application/pdf", (D,)),
    (ZIP + b"..[Content_Types].xml..word/document.xml", f"{OFFICE}wordprocessingml.document", (D,)),
    (ZIP + b"..[Content_Types].xml..xl/workbook.xml", f"{OFFICE}spreadsheetml.sheet", (D,)),
    (ZIP + b"..[Content_Types].xml..ppt/x.xml", f"{OFFICE}presentationml.presentation", (D,)),
    (ZIP + b"..word/document.xml", "application/zip", (D,)),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage", (D,)),
    ("Señores:\r\n\tadjunto 👍🏽".encode(), "text/plain; charset=utf-8", (D,)),
    (b"\xff\xfeh\0o\0", "application/octet-stream", (D,)),
    (b"MZ\x90\0", "application/octet-stream", (D,)),
    (b"hola\0", "application/octet-stream", (D,)),
    ("ñ".encode("latin-1"), "application/octet-stream", (D,)),
]
RUNS = [
    b"<!doctype html><script>alert(1)</script>", b"<html>", b"\n <HTML>", b"<?xml version='1.0'?>",
    b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", b"<script>", b"%!PS-Adobe",
    b"GIF8", b"\xef\xbb\xbf<html>", b"%PDF-1.7 <script>", b"#!/bin/sh\n",
]  # fmt: skip
"""Beginnings that something or somebody would run."""


def offered(**fields: object) -> Media:
    """Return a file that a device has to fetch."""
    values: dict[str, object] = {
        "id": MediaId(1), "key": "k", "type": P, "mimetype": "image/png", "source": b"s",
        "device_id": DeviceId(1), "created_at": NOON, "updated_at": NOON, "version": 1,
        "not_before": NOON,
    }  # fmt: skip
    return Media(**values | fields)  # type: ignore[arg-type]  # Any of its fields.


@pytest.mark.parametrize(("head", "mimetype", "types"), KNOWN)
def test_bytes_say_what_they_are(head: bytes, mimetype: str, types: tuple[MediaType, ...]) -> None:
    """CH16: whatever was said of them, or stands further back."""
    for rest in (b"", b"\0" * 600):
        if not mimetype.startswith("text") or not rest:
            assert sniff((head + rest)[:HEAD_BYTES]) == (mimetype, types)


@pytest.mark.parametrize("head", RUNS)
def test_what_could_be_run_is_never_shown(head: bytes) -> None:
    """Section 5: it is a document, of a type that no browser runs."""
    for content in (head, head + b"\0" * 600, head + b" " * 600):
        mimetype, types = sniff(content)
        assert types == (D,)
        assert not is_shown(mimetype)
        assert mimetype.partition(";")[0] in (
            "text/plain", "application/octet-stream", "application/pdf",
        )  # fmt: skip


@given(st.binary(max_size=400) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_something(content: bytes) -> None:
    """And only pictures, recordings and videos are shown."""
    mimetype, types = sniff(content)
    if is_shown(mimetype):
        assert mimetype.partition("/")[0] in ("image", "audio", "video")
        assert D not in types


@pytest.mark.parametrize("cut", range(4))
def test_a_letter_that_is_cut_in_two_is_a_letter(cut: int) -> None:
    """Where the first look ends; not where the file does."""
    text = ("a" * (HEAD_BYTES - cut) + "👍" * 9).encode()
    assert sniff(text[:HEAD_BYTES]).mimetype == "text/plain; charset=utf-8"
    assert sniff("a👍".encode()[: 1 + cut]).mimetype.startswith("application") == (cut > 0)


@pytest.mark.parametrize("wanted", MediaType)
@pytest.mark.parametrize(("head", "mimetype", "types"), KNOWN[:7])
def test_a_file_is_sent_as_what_it_is(
    head: bytes, mimetype: str, types: tuple[MediaType, ...], wanted: MediaType
) -> None:
    """Anything may be a document; nothing else is anything."""
    if wanted in (*types, D):
        assert Intake(head, wanted).type is wanted
    else:
        with pytest.raises(Unsupported, match=mimetype):
            Intake(head, wanted)


@pytest.mark.parametrize("type_", MediaType)
def test_each_type_has_its_size(type_: MediaType) -> None:
    """The last byte that is allowed is, and the next one is refused when it comes."""
    head = {P: b"\x89PNG\r\n\x1a\n", V: KNOWN[6][0], A: b"ID3", S: KNOWN[3][0], D: b"x"}[type_]
    intake = Intake(head, type_)
    intake.take(b"\0" * SIZE_MAX[type_])
    assert intake.end().size == SIZE_MAX[type_]
    with pytest.raises(TooLarge, match=f"{type_.value} file is larger than"):
        intake.take(b"\0")


def test_what_is_known_of_a_file_is_of_all_its_bytes() -> None:
    intake = Intake(b"hola")
    for part in (b"ho", b"", b"la"):
        intake.take(part)
    digest = "b221d9dbb083a7f33428d7c2a3c3198ae925614d70210e28716ccaa7cd4ddb79"
    assert intake.end() == Kept(D, "text/plain; charset=utf-8", 4, digest)
    with pytest.raises(Invalid, match="is empty"):
        Intake(b"").end()


@pytest.mark.parametrize(
    ("raw", "label"),
    [
        ("foto.png", "foto.png"), ("C:\\fotos\\a.png", "a.png"), ("../../etc/passwd", "passwd"),
        ("a\x00\nb\u202egnp.exe", "abgnp.exe"), (" .. ", ".."), ("", None), ("/", None),
        ("\u200b", None), ("ñ👍.pdf", "ñ👍.pdf"), ("x" * 300, "x" * 255), ("a/ ", None),
    ],
)  # fmt: skip
def test_a_name_is_only_a_label(raw: str, label: str | None) -> None:
    """Section 5: 255 characters, none of control, no path."""
    assert label_of(raw) == label


@given(st.text())
def test_any_text_is_a_label_or_none(raw: str) -> None:
    label = label_of(raw)
    if label is not None:
        assert 0 < len(label) <= 255
        assert label.isprintable()
        assert not {"/", "\\"} & {*label}
        assert label == label.strip()


@pytest.mark.parametrize(
    "key", ["", "0" * 47, "0" * 49, "g" * 48, "A" * 48, "0" * 47 + "\n", "٣" * 48]
)
def test_what_is_no_key_is_not_found(key: str) -> None:
    check_key(new_key(b"\xff" * 24))
    with pytest.raises(NotFound):
        check_key(key)


def test_a_missed_file_waits_longer_each_time_and_then_is_lost() -> None:
    """Section 11: five tries, over more than two and a half hours."""
    media, at = offered(), NOON
    waits = []
    for _ in range(4):
        media.miss(at=at)
        assert media.state is MediaState.PENDING
        waits.append(media.not_before - at)
        at = media.not_before
    assert waits == [timedelta(minutes=minutes) for minutes in (1, 5, 25, 125)]
    media.miss(at=at)
    assert (media.state, media.attempts) == (MediaState.EXPIRED, 5)
    assert (media.source, media.device_id) == (None, None)
    assert media.version == 6


def test_a_file_is_stored_as_what_came() -> None:
    """Not as what was offered; and nobody has to fetch it any more."""
    media = offered(mimetype="text/html", size=7)
    media.store(kept=Kept(D, "application/pdf", 5, "0" * 64), at=LATER)
    assert (media.type, media.mimetype, media.size) == (D, "application/pdf", 5)
    assert (media.state, media.source, media.device_id) == (MediaState.STORED, None, None)
    assert (media.updated_at, media.version) == (LATER, 2)
