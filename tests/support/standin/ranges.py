"""Parts of an image file: ETag, Range and If-Range as image hosts answer them (RFC 9110, 13.1.5 and 14)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace

from tests.support.standin.api import Answer

ONE_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


def part_of(whole: Answer, headers: Mapping[str, str]) -> Answer:
    """The part that was asked for if the file is still the same; else the whole, with its ETag."""
    if whole.status != 200:
        return whole
    etag = f'"{hashlib.md5(whole.body).hexdigest()}"'
    told = {**whole.headers, "ETag": etag, "Accept-Ranges": "bytes"}
    wish = ONE_RANGE.fullmatch(headers.get("range", ""))
    if wish is None or headers.get("if-range", etag) != etag:
        return replace(whole, headers=told)
    size = len(whole.body)
    first, last = int(wish[1]), min(int(wish[2] or size - 1), size - 1)
    if first > last:
        return replace(whole, body=b"", status=416, headers={**told, "Content-Range": f"bytes */{size}"})
    told["Content-Range"] = f"bytes {first}-{last}/{size}"
    return replace(whole, body=whole.body[first : last + 1], status=206, headers=told)
