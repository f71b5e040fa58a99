"""Log in at a company's provider: a real one over HTTP on loopback, which can lie in every way that matters."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from msgspec.structs import replace
from structlog.testing import capture_logs
from tests.served import SETTINGS, Reply, Served, served
from tests.world import START, SetClock

from tellwire.app import App
from tellwire.errors import BadSettings, LoginProviderFailed
from tellwire.http_client.oidc import HttpLoginProvider
from tellwire.http_client.sender import open_sender
from tellwire.security import oidc
from tellwire.security.addresses import ANYWHERE

CLIENT, SECRET, EMAIL = "tellwire", "a secret & more", "ana@example.com"
KEYS = {name: rsa.generate_private_key(public_exponent=65537, key_size=2048) for name in ("one", "two")}
TURN = Callable[[dict[str, Any]], Any]


class Provider(ThreadingHTTPServer):
    """A provider with one person; `claims` and `turn` change what it says of them."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.issuer = f"http://127.0.0.1:{self.server_address[1]}"
        self.codes: dict[str, dict[str, str]] = {}
        self.published = {"one"}
        self.signs_with, self.algorithm = "one", "RS256"
        self.claims: dict[str, Any] = {}
        self.configuration: dict[str, Any] = {}
        self.posts_secret = False
        self.asked = 0

    def allow(self, address: str) -> dict[str, str]:
        """What a browser brings back from the address that Tellwire sent it to."""
        asked = dict(parse_qsl(urlsplit(address).query))
        self.codes[f"code-{len(self.codes)}"] = asked
        return {"code": f"code-{len(self.codes) - 1}", "state": asked["state"]}

    def token(self, asked: dict[str, str]) -> str:
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": CLIENT,
            "sub": "1",
            "iat": now,
            "exp": now + 300,
            "nonce": asked["nonce"],
            "email": EMAIL,
            "email_verified": True,
        } | self.claims
        kept = {name: value for name, value in claims.items() if value is not None}
        key: Any = SECRET if self.algorithm.startswith("HS") else KEYS[self.signs_with]
        return jwt.encode(kept, key, algorithm=self.algorithm, headers={"kid": self.signs_with})


class _Handler(BaseHTTPRequestHandler):
    server: Provider

    def do_GET(self) -> None:
        if self.path == "/.well-known/openid-configuration":
            here = self.server.issuer
            self.server.asked += 1
            methods = ["client_secret_post"] if self.server.posts_secret else ["client_secret_basic"]
            said = {
                "issuer": here,
                "authorization_endpoint": f"{here}/authorize",
                "token_endpoint": f"{here}/token",
                "jwks_uri": f"{here}/keys",
                "token_endpoint_auth_methods_supported": methods,
            }
            self._say(said | self.server.configuration)
        else:
            shown = [
                json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(KEYS[name].public_key())) | {"kid": name}
                for name in sorted(self.server.published)
            ]
            self._say({"keys": shown})

    def do_POST(self) -> None:
        form = {k: v[0] for k, v in parse_qs(self.rfile.read(int(self.headers["content-length"])).decode()).items()}
        basic = base64.b64encode(b"tellwire:a+secret+%26+more").decode()
        known = (
            (form.get("client_id"), form.get("client_secret")) == (CLIENT, SECRET)
            if self.server.posts_secret
            else self.headers["authorization"] == f"Basic {basic}"
        )
        asked = self.server.codes.pop(form["code"], None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).rstrip(b"=")
        right = (
            asked and asked["code_challenge"] == challenge.decode() and asked["redirect_uri"] == form["redirect_uri"]
        )
        if not (known and right and asked):
            self._say({"error": "invalid_grant"}, 400)
        else:
            self._say({"id_token": self.server.token(asked), "access_token": "unused"})

    def _say(self, said: Any, status: int = 200) -> None:
        body = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def clock() -> SetClock:
    return SetClock(START)


@pytest.fixture
def app(tmp_path: Any, provider: Provider, clock: SetClock) -> Iterator[Served]:
    own = HttpLoginProvider(
        open_sender(reach=ANYWHERE),
        clock,
        issuer=provider.issuer,
        client_id=CLIENT,
        secret=SECRET,
        name="Example & Sons",
        trusts_email=False,
    )
    with served(tmp_path, clock=clock, login_provider=own) as running:
        running.post("/v1/members", {"email": EMAIL, "role": "operator"})
        yield running
        running.run(own.close())


def began(app: Served, path: str = "/login/oidc") -> tuple[str, str]:
    """Begin a login: where the browser is sent, and its cookie."""
    reply = app.send("GET", path, None, {})
    assert reply.status == 303, reply.body
    return reply.headers["location"], reply.headers["set-cookie"].partition(";")[0]


def came_back(app: Served, query: dict[str, str], cookie: str) -> Reply:
    asked = "&".join(f"{name}={value}" for name, value in query.items())
    return app.send("GET", f"/login/oidc/back?{asked}", None, {"cookie": cookie})


def logged_in(app: Served, provider: Provider) -> Reply:
    address, cookie = began(app)
    return came_back(app, provider.allow(address), cookie)


@pytest.mark.parametrize("posted", [False, True])
def test_a_member_logs_in_without_a_password(app: Served, provider: Provider, posted: bool) -> None:
    provider.posts_secret = posted
    page = app.send("GET", "/login?next=/deliveries", None, {}).body.decode()
    assert 'href="/login/oidc?next=/deliveries">Log in with Example &amp; Sons</a>' in page
    address, cookie = began(app, "/login/oidc?next=/deliveries")
    asked = dict(parse_qsl(urlsplit(address).query))
    assert address.startswith(f"{provider.issuer}/authorize?")
    assert (asked["response_type"], asked["code_challenge_method"]) == ("code", "S256")
    assert asked["redirect_uri"].endswith("/login/oidc/back")
    query = provider.allow(address)
    reply = came_back(app, query, cookie)
    assert (reply.status, reply.headers["location"]) == (303, "/deliveries"), reply.body
    again = came_back(app, query, cookie)
    assert again.status == 502, "a code works once"
    [member] = app.get("/v1/members")["data"]
    assert member["last_login_at"] is not None


LIES: list[tuple[str, dict[str, Any], str]] = [
    ("of another issuer", {"iss": "http://127.0.0.1:1"}, "its token is not valid"),
    ("for another program", {"aud": "another"}, "its token is not valid"),
    ("for another party", {"aud": [CLIENT, "b"], "azp": "b"}, "for another program"),
    ("expired", {"exp": 1_700_000_000}, "its token is not valid"),
    ("without an end", {"exp": None}, "its token is not valid"),
    ("of another login", {"nonce": "another"}, "of another login"),
    ("without a nonce", {"nonce": None}, "of another login"),
    ("unverified", {"email_verified": False}, "OIDC_TRUST_EMAIL"),
    ("not said to be verified", {"email_verified": None}, "OIDC_TRUST_EMAIL"),
    ("without an address", {"email": None}, "needs the scope email"),
    ("with an address that is none", {"email": {"a": 1}}, "needs the scope email"),
]


@pytest.mark.parametrize(("claims", "said"), [lie[1:] for lie in LIES], ids=[lie[0] for lie in LIES])
def test_a_token_that_is_not_to_be_believed_lets_nobody_in(
    app: Served, provider: Provider, claims: dict[str, Any], said: str
) -> None:
    provider.claims = claims
    with capture_logs() as told:
        reply = logged_in(app, provider)
    assert (reply.status, "tellwire_session" in str(reply.headers)) == (502, False)
    assert said in reply.body.decode()
    assert [each["event"] for each in told] == ["login_provider_failed"]
    assert not [name for name in (EMAIL, SECRET, "code-") if name in str(told)]


@pytest.mark.parametrize(("algorithm", "key"), [("HS256", "one"), ("RS256", "two")])
def test_a_signature_that_is_not_the_providers_counts_for_nothing(
    app: Served, provider: Provider, algorithm: str, key: str
) -> None:
    provider.algorithm, provider.signs_with = algorithm, key
    assert logged_in(app, provider).status == 502


def test_new_keys_of_the_provider_are_read(app: Served, provider: Provider, clock: SetClock) -> None:
    assert logged_in(app, provider).status == 303
    provider.published, provider.signs_with = {"one", "two"}, "two"
    assert logged_in(app, provider).status == 502, "at most once a minute"
    clock.move(61_000_000)
    assert logged_in(app, provider).status == 303


def test_an_address_that_is_no_members_is_told_what_to_do(app: Served, provider: Provider) -> None:
    provider.claims = {"email": "<b>@example.com"}
    assert logged_in(app, provider).status in {403, 502}
    provider.claims = {"email": "Eve@Example.com"}
    reply = logged_in(app, provider)
    assert (reply.status, "eve@example.com is no member here" in reply.body.decode()) == (403, True)


def test_what_did_not_begin_in_this_browser_does_not_end_here(app: Served, provider: Provider) -> None:
    address, cookie = began(app)
    query = provider.allow(address)
    for other in ("", "tellwire_oidc=", "tellwire_oidc=x.eA%3D%3D", began(app)[1], cookie[:-8]):
        assert came_back(app, query, other).status == 400, other
    assert came_back(app, query | {"state": "%FF"}, cookie).status == 400
    assert came_back(app, {"state": query["state"], "error": "access_denied"}, cookie).status == 401
    assert came_back(app, query, cookie).status == 303


@pytest.mark.parametrize(
    ("configuration", "said"),
    [
        ({"issuer": "https://login.example"}, "OIDC_ISSUER has to be that"),
        ({"token_endpoint": "ftp://login.example"}, "is not https"),
        ({"jwks_uri": 7}, "cannot be read"),
    ],
)
def test_a_configuration_that_is_wrong_is_told(
    app: Served, provider: Provider, configuration: dict[str, Any], said: str
) -> None:
    provider.configuration = configuration
    reply = app.send("GET", "/login/oidc", None, {})
    assert (reply.status, said in reply.body.decode()) == (502, True), reply.body


def test_without_a_provider_there_is_none_to_log_in_at(tmp_path: Any) -> None:
    with served(tmp_path) as app:
        assert app.send("GET", "/login/oidc", None, {}).status == 404
        assert "/login/oidc" not in app.send("GET", "/login", None, {}).body.decode()


async def test_what_a_provider_needs_is_said_at_start(tmp_path: Any) -> None:
    settings = replace(SETTINGS, database_url=f"sqlite:///{tmp_path}/t.db", oidc_issuer="https://login.example")
    with pytest.raises(BadSettings, match="TELLWIRE_OIDC_CLIENT_ID"):
        await App.open(settings)


def test_a_key_that_everybody_knows_proves_nothing(provider: Provider) -> None:
    """A provider that publishes a shared secret by mistake: a token may not name another algorithm and be checked by
    it."""
    shared = {"kty": "oct", "alg": "HS256", "kid": "one", "k": base64.urlsafe_b64encode(b"k" * 32).decode()}
    claims = provider.token({"nonce": "n"}).split(".")[1]
    head = base64.urlsafe_b64encode(b'{"alg":"RS256","kid":"one"}').rstrip(b"=").decode()
    mac = hmac.digest(b"k" * 32, f"{head}.{claims}".encode(), "sha256")
    token = f"{head}.{claims}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"
    said = oidc.Provider(provider.issuer, "", "", "")
    with pytest.raises(LoginProviderFailed, match="does not publish"):
        oidc.verified_email(
            token, {"one": jwt.PyJWK(shared)}, provider=said, client_id=CLIENT, nonce="n", trusts_email=False
        )


def test_a_login_ends_within_ten_minutes(app: Served, provider: Provider, clock: SetClock) -> None:
    """Also where a browser, or who copied its cookie, keeps it for longer."""
    address, cookie = began(app)
    clock.move(601_000_000)
    assert came_back(app, provider.allow(address), cookie).status == 400


def test_who_only_begins_logins_keeps_nobody_out(app: Served, provider: Provider) -> None:
    """Any page may lead a browser here, and everybody may come through one proxy."""
    address, cookie = began(app)
    for _ in range(150):
        assert app.send("GET", "/login/oidc", None, {}).status == 303
        assert app.send("GET", "/login/oidc/back?code=1&state=2", None, {}).status == 400
    assert came_back(app, provider.allow(address), cookie).status == 303


def test_codes_that_are_made_up_are_bounded_and_leave_passwords_alone(app: Served) -> None:
    address, cookie = began(app)
    query = {"code": "made-up", "state": dict(parse_qsl(urlsplit(address).query))["state"]}
    said = [came_back(app, query, cookie).status for _ in range(130)]
    assert (said[0], said[-1]) == (502, 429)
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert app.send("POST", "/login", b"email=nobody%40example.com&password=wrong", form).status == 401


def test_a_provider_that_fails_is_not_asked_for_every_stranger(
    app: Served, provider: Provider, clock: SetClock
) -> None:
    provider.configuration = {"issuer": "https://login.example"}
    assert [app.send("GET", "/login/oidc", None, {}).status for _ in range(5)] == [502] * 5
    assert provider.asked == 1
    provider.configuration = {}
    clock.move(5_000_000)
    assert logged_in(app, provider).status == 303


@pytest.mark.parametrize(
    ("url", "name"),
    [("https://a.example", "__Host-tellwire_oidc"), ("https://a.example/in/it", "__Secure-tellwire_oidc")],
)
def test_no_other_site_gives_a_browser_its_login(tmp_path: Any, provider: Provider, url: str, name: str) -> None:
    """What a login is checked against is in a cookie that no sibling host and no plain http can set, as the session."""
    own = HttpLoginProvider(
        open_sender(reach=ANYWHERE),
        SetClock(START),
        issuer=provider.issuer,
        client_id=CLIENT,
        secret=SECRET,
        name="It",
        trusts_email=False,
    )
    settings = replace(SETTINGS, public_url=url)
    with served(tmp_path, clock=SetClock(START), login_provider=own, settings=settings) as app:
        cookie = app.send("GET", "/login/oidc", None, {}).headers["set-cookie"]
        app.run(own.close())
    path = urlsplit(url).path or "/"
    assert cookie.startswith(f"{name}=")
    assert {f"Path={path}", "HttpOnly", "Secure", "SameSite=lax"} <= set(cookie.split("; ")), cookie
