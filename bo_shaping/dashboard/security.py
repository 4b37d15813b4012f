"""Who may look: a check of the host's name, a token where others can reach the port, and what a page may load.

A page on the internet can have its name point to 127.0.0.1 (DNS rebinding) and then read what listens here: the name
that the browser asked for tells it apart. It can also send a form here without reading the answer: that is told apart
by the origin.
"""

import hmac
import ipaddress
import secrets
from collections.abc import Collection
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self'; connect-src 'self'; "
    "frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'"
)
"""Scripts come from our own file alone; style attributes carry the colours of credit."""

HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    # With none at all, a browser would send the form of the explorer without its origin.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

COOKIE = "bo_shaping_token"
LOCAL_NAMES = ("127.0.0.1", "localhost", "::1")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what is bound to `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def new_token() -> str:
    """A token that nobody guesses."""
    return secrets.token_urlsafe(24)


class Guard:
    """Lets through what may be seen, and puts the headers of `HEADERS` on every answer.

    Without a token, only requests for a name of this machine; with one, only those that carry it, in the cookie, as
    `Authorization: Bearer TOKEN`, or once as `?token=TOKEN`, which sets the cookie.
    """

    def __init__(self, app: ASGIApp, token: str | None = None, names: Collection[str] = LOCAL_NAMES) -> None:
        self._app = app
        self._token = token
        self._names = frozenset(names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            # Nothing here speaks over web sockets; the server's own start and end pass.
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        answer = self._refusal(scope)
        await (answer or self._app)(scope, receive, send_guarded)

    def _refusal(self, scope: Scope) -> PlainTextResponse | RedirectResponse | None:
        headers = Headers(scope=scope)
        if self._token is None and _name_of(headers.get("host", "")) not in self._names:
            return PlainTextResponse(
                "This dashboard answers to 127.0.0.1 and localhost only; open the address that serve printed.", 421
            )
        if scope["method"] not in ("GET", "HEAD") and _is_from_elsewhere(headers):
            return PlainTextResponse("Questions are taken from the dashboard's own pages only.", 403)
        return None if self._token is None else self._ask_for_token(scope, headers, self._token)

    def _ask_for_token(self, scope: Scope, headers: Headers, token: str) -> PlainTextResponse | RedirectResponse | None:
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        given = next((value for name, value in query if name == "token"), None)
        if given is not None and _is_same(given, token):
            rest = urlencode([(name, value) for name, value in query if name != "token"])
            # Relative: the token must not stay in the address, and nobody else's address is ever made of it.
            last = scope["path"].rpartition("/")[2] or "./"
            answer = RedirectResponse(f"{last}?{rest}" if rest else last, 303)
            answer.set_cookie(COOKIE, token, httponly=True, samesite="strict", max_age=30 * 86_400)
            return answer
        bearer = headers.get("authorization", "").removeprefix("Bearer ")
        if _is_same(bearer, token) or _is_same(_cookie(headers), token):
            return None
        return PlainTextResponse("This dashboard needs its token: open the address that serve printed.", 401)


def _name_of(host: str) -> str:
    """The name in a Host header, without the port."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _is_from_elsewhere(headers: Headers) -> bool:
    """Whether another site's page sent this: browsers say so, and programs that say nothing are no browsers."""
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return True
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc.lower() != headers.get("host", "").lower()


def _cookie(headers: Headers) -> str:
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return morsel.value if morsel is not None else ""


def _is_same(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode(), token.encode())
