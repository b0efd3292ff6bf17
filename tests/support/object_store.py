"""A small object store on the loopback that speaks as much of S3 as we need, at the wire.

It believes nobody who does not sign, and keeps what is in parts apart until all of it is there.
"""

import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

ACCESS_KEY, SECRET_KEY, BUCKET, PREFIX = "the-key-id", "the-secret", "fotos", "de/clarin"

_RANGE = re.compile(r"bytes=(\d+)-(\d+)")
_NAMED = re.compile(r"<Key>([^<]+)</Key>")


class ObjectStore(ThreadingHTTPServer):
    """What it keeps, what is under way, and what was asked for."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.kept: dict[str, bytes] = {}
        self.parts: dict[str, dict[int, bytes]] = {}
        self.asked = Counter[str]()
        self.is_broken = False
        self.lock = threading.Lock()

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which the usual clients find it."""
        return {
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_REGION": "sa-east-1",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.server_address[1]}",
        }


@contextmanager
def running() -> Iterator[ObjectStore]:
    """Have a store on a free port while inside."""
    with ObjectStore() as store:
        thread = threading.Thread(target=store.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield store
        finally:
            store.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: ObjectStore
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_PUT(self) -> None:
        key, query, body = self._read()
        if key is None:
            return
        with self.server.lock:
            if "uploadId" in query:
                upload = self.server.parts.get(query["uploadId"])
                if upload is None:
                    return self._answer(404)
                upload[int(query["partNumber"])] = body
            else:
                self.server.kept[key] = body
        return self._answer(200, headers={"ETag": f'"{sha256(body).hexdigest()}"'})

    def do_POST(self) -> None:
        key, query, body = self._read()
        if key is None:
            return None
        with self.server.lock:
            if "delete" in query:
                return self._delete_many(body)
            if "uploads" in query:
                upload = f"upload-{sum(self.server.asked.values())}"
                self.server.parts[upload] = {}
                return self._xml(f"<UploadId>{upload}</UploadId>", "InitiateMultipartUploadResult")
            parts = self.server.parts.pop(query["uploadId"])
            self.server.kept[key] = b"".join(parts[number] for number in sorted(parts))
        return self._xml('<ETag>"whole"</ETag>', "CompleteMultipartUploadResult")

    def do_DELETE(self) -> None:
        key, query, _ = self._read()
        if key is None:
            return
        with self.server.lock:
            if "uploadId" in query:
                self.server.parts.pop(query["uploadId"], None)
            else:
                self.server.kept.pop(key, None)
        self._answer(204)

    def do_HEAD(self) -> None:
        key, _, _ = self._read()
        if key is not None:
            self._give(key)

    def do_GET(self) -> None:
        key, _, _ = self._read()
        if key is not None:
            self._give(key)

    def _give(self, key: str) -> None:
        content = self.server.kept.get(key)
        if content is None:
            return self._answer(404)
        headers = {"Last-Modified": "Sat, 01 Aug 2026 12:00:00 GMT", "ETag": '"whole"'}
        if found := _RANGE.fullmatch(self.headers.get("range", "")):
            start, last = int(found[1]), min(int(found[2]), len(content) - 1)
            headers["Content-Range"] = f"bytes {start}-{last}/{len(content)}"
            return self._answer(206, content[start : last + 1], headers)
        return self._answer(200, content, headers)

    def _delete_many(self, body: bytes) -> None:
        names = [unquote(name) for name in _NAMED.findall(body.decode())]
        for name in names:
            self.server.kept.pop(name, None)
        self._xml(
            "".join(f"<Deleted><Key>{name}</Key></Deleted>" for name in names), "DeleteResult"
        )

    def _read(self) -> tuple[str | None, dict[str, str], bytes]:
        """Return key, query and body; the key is None where an answer was given already."""
        url = urlsplit(self.path)
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        self.server.asked[self.command] += 1
        if self.server.is_broken:
            self._answer(503)
        elif not self._is_signed(body):
            self._answer(403)
        else:
            return unquote(url.path).removeprefix(f"/{BUCKET}/"), query, body
        return None, query, body

    def _is_signed(self, body: bytes) -> bool:
        """Whether it carries the key, and the digest of what came."""
        signed = self.headers.get("authorization", "")
        digest = self.headers.get("x-amz-content-sha256")
        is_whole = digest in (sha256(body).hexdigest(), "UNSIGNED-PAYLOAD")
        return signed.startswith(f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/") and is_whole

    def _xml(self, inner: str, outer: str) -> None:
        self._answer(200, f"<?xml version='1.0'?><{outer}>{inner}</{outer}>".encode())

    def _answer(
        self, status: int, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
