"""R23: forms that are broken, endless or odd, and what is kept of a file's name."""

import pytest

from support.calm import check_alive, check_calm
from support.houses import PATIENCE_S, refused, tell
from support.serving import House

MIB = 1024 * 1024


def form(*parts: bytes, boundary: bytes = b"b") -> bytes:
    return b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts) + b"--b--\r\n"


def part(disposition: bytes, content: bytes = b"nombre\nLuz\n", *more: bytes) -> bytes:
    return b"\r\n".join((b"Content-Disposition: form-data; " + disposition, *more, b"", content))


FILE = part(b'name="file"; filename="a.csv"')
FORMS: dict[str, tuple[bytes, int]] = {
    "nothing": (b"", 400),
    "no part": (b"--b--\r\n", 422),
    "no end": (b"--b\r\n" + FILE, 400),
    "no head": (form(b"x"), 400),
    "no name": (form(part(b'filename="a.csv"')), 400),
    "no disposition": (form(b"Content-Type: text/csv\r\n\r\nnombre\nLuz"), 400),
    "no file": (form(part(b'name="overwrite"', b"true")), 422),
    "no file name": (form(part(b'name="file"')), 422),
    "empty file": (form(part(b'name="file"; filename="a.csv"', b"")), 422),
    "two files": (form(FILE, FILE), 400),
    "unknown field": (form(FILE, part(b'name="account_id"', b"1")), 422),
    "unknown type": (form(FILE, part(b'name="import_type"', b"chats")), 422),
    "unknown word": (form(FILE, part(b'name="overwrite"', b"perhaps")), 422),
    "odd bytes": (form(FILE, part(b'name="overwrite"', b"\xff")), 400),
    "odd charset": (form(part(b'name="file"; filename*=nothing\'\'a', b"\0\1\2")), 422),
    "odd parameters": (form(part(b'name="file"; name*1=a; name*=b')), 400),
    "slow charset": (
        form(FILE, part(b'name="overwrite"', b"a" * MIB, b"Content-Type: x/y; charset=punycode")),
        422,
    ),
    "long head": (form(part(b'name="file"; filename="' + b"a" * 9000 + b'"')), 400),
    "a million parts": (b"--b\r\n" * 1_000_000, 400),
    "many parts": (form(*[part(b'name="p%d"' % n) for n in range(100)]), 400),
    "a workbook": (form(part(b'name="file"; filename="a.xlsx"', b"PK\3\4" + b"x" * 99)), 415),
    "binary": (form(part(b'name="file"; filename="a.csv"', bytes(range(256)) * 9)), 422),
    "too large": (form(part(b'name="file"; filename="a.csv"', b"n\n" + b"x\n" * 11 * MIB)), 413),
}  # fmt: skip


@pytest.mark.parametrize("path", ["/api/import/csv", "/api/import/csv/preview"])
def test_forms(path: str) -> None:
    """Section 5: broken, endless and odd forms are refused; nothing is kept of them."""

    async def story(house: House) -> None:
        headers = {"Content-Type": "multipart/form-data; boundary=b"}
        for name, (body, status) in FORMS.items():
            answer = await house.ana.ask(
                "POST", path, content=body, headers=headers, timeout=PATIENCE_S
            )
            check_calm(answer, name)
            assert answer.status_code == status, (name, answer.text)
        for kind in ("", "text/csv", "multipart/form-data", "multipart/form-data; boundary=",
                     "multipart/mixed; boundary=b"):  # fmt: skip
            headers = {"Content-Type": kind}
            answer = await house.ana.ask("POST", path, content=form(FILE), headers=headers)
            refused(answer, 415, "unsupported_media")
        assert (await house.ana.get("/api/imports"))["data"] == []
        await check_alive(house)

    tell(story)


LABELS = {
    'filename="clientes año.csv"': "clientes año.csv",
    "filename*=utf-8''a%C3%B1o.csv": "año.csv",
    'filename="../../etc/passwd"': "passwd",
    r'filename="C:\datos\a.csv"': "a.csv",
    'filename="a\u202ecsv.exe"': "acsv.exe",
    f'filename="{"x" * 300}"': "x" * 255,
    'filename="/"': "import.csv",
    'filename=""': "import.csv",
}


def test_names_of_files_are_labels() -> None:
    """Section 5: no path and no invisible character is kept of what a caller names a file."""

    async def story(house: House) -> None:
        headers = {"Content-Type": 'multipart/form-data; boundary="b"'}
        for number, (named, label) in enumerate(LABELS.items()):
            file = part(f'name="file"; {named}'.encode(), b"nombre\nLuz %d\n" % number)
            answer = await house.ana.ask(
                "POST", "/api/import/csv", content=form(file), headers=headers
            )
            assert answer.json()["filename"] == label, answer.text

    tell(story)
