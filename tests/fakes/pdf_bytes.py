"""Small real PDFs for tests, written by hand: pages of lines, optionally encrypted (RC4)."""

import hashlib
from collections.abc import Sequence

_PADDING = bytes.fromhex("28BF4E5E4E758A4164004E56FFFA01082E2E00B6D0683E802F0CA9FE6453697A")
Line = str | tuple[str, int]
_FILE_ID = b"0123456789abcdef"


def make_pdf(
    pages: Sequence[Sequence[Line]], *, title: str = "", password: str | None = None
) -> bytes:
    """Each page is a list of lines; an empty line leaves a gap. Latin-1 only.

    A line of 11 points is a string, another one a pair of string and size.
    """
    key = _key(password) if password is not None else None
    font, info, first = 3, 4, 5
    numbers = [first + 2 * index for index in range(len(pages))]
    kids = " ".join(f"{number} 0 R" for number in numbers)
    objects: dict[int, bytes] = {
        1: b"<< /Type /Catalog /Pages 2 0 R >>",
        2: f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode(),
        font: b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        info: b"<< /Title (" + title.encode("latin-1") + b") >>" if key is None else b"<< >>",
    }
    for number, lines in zip(numbers, pages, strict=True):
        content = _content(lines)
        if key is not None:
            content = _rc4(_object_key(key, number + 1), content)
        objects[number] = (
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents {number + 1} 0 R "
            f"/Resources << /Font << /F1 {font} 0 R >> >> >>"
        ).encode()
        objects[number + 1] = (
            f"<< /Length {len(content)} >>\nstream\n".encode() + content + b"\nendstream"
        )
    trailer = f"/Root 1 0 R /Info {info} 0 R".encode()
    if key is not None:
        number = max(objects) + 1
        objects[number] = _encrypt_dictionary(key)
        file_id = _FILE_ID.hex().encode()
        trailer += f" /Encrypt {number} 0 R /ID [<".encode() + file_id + b"><" + file_id + b">]"
    return _assemble(objects, trailer)


def _content(lines: Sequence[Line]) -> bytes:
    shown = [b"BT 60 780 Td"]
    for item in lines:
        line, size = (item, 11) if isinstance(item, str) else item
        shown.append(f"/F1 {size} Tf {1.3 * size:.1f} TL".encode())
        escaped = line.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
        shown.append(b"(" + escaped.encode("latin-1") + b") Tj T*")
    return b"\n".join([*shown, b"ET"])


def _assemble(objects: dict[int, bytes], trailer: bytes) -> bytes:
    out = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    offsets = {}
    for number, body in sorted(objects.items()):
        offsets[number] = len(out)
        out += f"{number} 0 obj\n".encode() + body + b"\nendobj\n"
    start = len(out)
    out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
    for number in sorted(objects):
        out += f"{offsets[number]:010} 00000 n \n".encode()
    out += b"trailer\n<< /Size " + str(len(objects) + 1).encode() + b" " + trailer + b" >>\n"
    return bytes(out + f"startxref\n{start}\n%%EOF\n".encode())


def _owner_entry() -> bytes:
    return _rc4(hashlib.md5(_PADDING, usedforsecurity=False).digest()[:5], _PADDING)


def _key(password: str) -> bytes:
    padded = (password.encode("latin-1") + _PADDING)[:32]
    permissions = (-4 & 0xFFFFFFFF).to_bytes(4, "little")
    whole = padded + _owner_entry() + permissions + _FILE_ID
    return hashlib.md5(whole, usedforsecurity=False).digest()[:5]


def _object_key(key: bytes, number: int) -> bytes:
    salted = key + number.to_bytes(3, "little") + b"\x00\x00"
    return hashlib.md5(salted, usedforsecurity=False).digest()[:10]


def _encrypt_dictionary(key: bytes) -> bytes:
    owner, user = _owner_entry().hex().encode(), _rc4(key, _PADDING).hex().encode()
    return b"<< /Filter /Standard /V 1 /R 2 /P -4 /O <" + owner + b"> /U <" + user + b"> >>"


def _rc4(key: bytes, data: bytes) -> bytes:
    state, j = list(range(256)), 0
    for i in range(256):
        j = (j + state[i] + key[i % len(key)]) % 256
        state[i], state[j] = state[j], state[i]
    out, i, j = bytearray(), 0, 0
    for byte in data:
        i = (i + 1) % 256
        j = (j + state[i]) % 256
        state[i], state[j] = state[j], state[i]
        out.append(byte ^ state[(state[i] + state[j]) % 256])
    return bytes(out)
