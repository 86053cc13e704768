"""Pictures that somebody sends: how large one may be, and how it is shown again without being kept."""

import base64
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request
from fastapi.responses import Response
from fastapi.routing import APIRoute

from icones.errors import BadInputError
from icones.web.visitor import settings_of

FORM_BYTES = 100_000
"""What a form may hold beside its picture."""
BEYOND_ANY = 2**40
"""For routers whose limit depends on the settings, in place of the limit of forms: `LimitedRoute` keeps it."""


class LimitedRoute(APIRoute):
    """A route that refuses a body that is larger than an image may be before it is read."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler behind the check."""
        inner = super().get_route_handler()

        async def handler(request: Request) -> Response:
            limit = settings_of(request).max_image_bytes
            if request.method == "POST":
                length = request.headers.get("Content-Length", "")
                if not length.isdigit():
                    raise BadInputError("The size of what is sent must be told first.")
                if int(length) > limit + FORM_BYTES:
                    raise too_large(limit)
            return await inner(request)

        return handler


class BytesRoute(LimitedRoute):
    """The same for a body that is an image and nothing else: a form is refused before anybody takes it apart."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler behind both checks."""
        inner = super().get_route_handler()

        async def handler(request: Request) -> Response:
            if "form" in request.headers.get("Content-Type", "").lower():
                raise BadInputError("Send the bytes of the image alone, with a Content-Type such as image/jpeg.")
            return await inner(request)

        return handler


def too_large(limit: int) -> BadInputError:
    """Return the error of a picture with more bytes than are taken in."""
    return BadInputError(f"The picture is too large: at most {limit // 1_000_000} MB can be sent.")


async def sent_image(request: Request) -> bytes:
    """Return the body of a request, read up to what an image may hold. Raises BadInputError beyond."""
    limit = settings_of(request).max_image_bytes
    content = bytearray()
    async for piece in request.stream():
        content += piece
        if len(content) > limit:
            raise too_large(limit)
    if not content:
        raise BadInputError("Send the bytes of an image.")
    return bytes(content)


def data_address(jpeg: bytes) -> str:
    """Return a JPEG picture as an address that holds it."""
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")
