"""`tellwire doctor` finds each fault that is planted in a whole installation, and names its remedy."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from socket import create_server
from typing import Any, NamedTuple

import pytest
from msgspec.structs import replace
from tests.doctor_site import APP_SECRET, CALLBACK, HOST, NUMBER, TOKEN, WABA, Site, authority, site
from tests.served import ADMIN, SETTINGS
from tests.world import SetClock

from tellwire.cli import DONE, FAILED, NO_SERVER, main
from tellwire.cli.client import Client
from tellwire.cli.doctor_here import extras
from tellwire.doctor.checks import CHECKS
from tellwire.doctor.checks_here import HERE
from tellwire.doctor.meta_answers import FIELDS
from tellwire.doctor.server_figures import OF_VERDICT
from tellwire.settings import AppSecret
from tellwire.simulator.apps import Subscription
from tellwire.verdict.figures import Disk
from tellwire.verdict.rules import KINDS

OTHER = "https://old.example.com/webhook"
GIB = 1024**3


class Fault(NamedTuple):
    """A fault to plant: what finds it as what, words of the remedy, and how it is planted. `settings` replace those of
    the installation; `account`: whether its account is made before."""

    check: str
    name: str
    remedy: str
    plant: Callable[[Site], object] = lambda _: None
    settings: dict[str, Any] = {}  # noqa: RUF012 - never changed
    account: bool = True
    clock: Callable[[], SetClock] | None = None


def _set(name: str, value: object) -> Callable[[Site], None]:
    """Turn something of the simulated app."""
    return lambda there: setattr(there.meta.app, name, value)


def _number(**fields: object) -> Callable[[Site], None]:
    return lambda there: there.meta.app.numbers.update({NUMBER: dict(fields)})


def _subscription(**changes: object) -> Callable[[Site], None]:
    whole = Subscription(CALLBACK, FIELDS)
    return lambda there: setattr(there.meta.app, "subscription", replace(whole, **changes))


def _proxy(manner: str) -> Callable[[Site], None]:
    return lambda there: setattr(there.proxy, "manner", manner)


def _certificate(days: float) -> Callable[[Site], None]:
    return lambda there: setattr(there.proxy, "tls", authority().server(there.folder, days=days))


def _names(*addresses: str) -> Callable[[Site], None]:
    return lambda there: there.names.update({HOST: list(addresses)})


def _with_token(token: str) -> Callable[[Site], object]:
    return lambda there: there.account(access_token=token)


def _unrouted(there: Site) -> None:
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "15550001111", "phone_number_id": "999000111222333"},
        "contacts": [{"profile": {"name": "Ana"}, "wa_id": "5215500000001"}],
        "messages": [
            {
                "from": "5215500000001",
                "id": "wamid.doctor",
                "timestamp": str(int(time.time())),
                "type": "text",
                "text": {"body": "hello"},
            }
        ],
    }
    change = {"field": "messages", "value": value}
    assert (
        there.app.meta({"object": "whatsapp_business_account", "entry": [{"id": "9", "changes": [change]}]}).status
        == 200
    )


def _disabled(there: Site) -> None:
    made = there.app.post("/v1/webhook-endpoints", {"url": "https://hooks.example.com/in", "format": "row"})
    there.app.run(there.app.world.outbox.disable(made["id"], "it answered 410"))


def _agent(there: Site) -> None:
    there.app.post(
        "/v1/agents", {"name": "Bot", "kind": "ai", "model": "m", "base_url": "https://models.example.com/v1"}
    )
    there.app.outside.answer = replace(there.app.outside.answer, failure="refused", cause="connection refused")


def _stop_meta(there: Site) -> None:
    there.app.run(there.simulator.stop())


def _handshake_refused(there: Site) -> None:
    query = "hub.mode=subscribe&hub.challenge=1&hub.verify_token=another"
    assert there.app.send("GET", f"/meta/webhook?{query}", None, {"Host": HOST}).status == 403


FAULTS = {
    "no public URL": Fault("public_url", "unset", "TELLWIRE_PUBLIC_URL", settings={"public_url": ""}),
    "http": Fault("public_url", "not_https", "https://", settings={"public_url": f"http://{HOST}"}),
    "a port": Fault("public_url", "other_port", "port 443", settings={"public_url": f"https://{HOST}:8443"}),
    "an address": Fault("public_url", "not_a_public_name", "public DNS", settings={"public_url": "https://52.0.0.10"}),
    "a private name": Fault(
        "public_url", "not_a_public_name", "public DNS", settings={"public_url": "https://tellwire.local"}
    ),
    "a path": Fault("public_url", "path", "host of its own", settings={"public_url": f"https://{HOST}/tellwire"}),
    "no address": Fault("public_address", "unresolved", "A or AAAA record", _names()),
    "a private address": Fault("public_address", "private", "public address", _names("10.1.2.3")),
    "nothing listens": Fault("public_connection", "refused", "firewall", lambda there: there.ports.clear()),
    "a strange certificate": Fault("certificate", "untrusted", "known authority", lambda there: there.distrust()),
    "an expired certificate": Fault("certificate", "untrusted", "certificate", _certificate(-1)),
    "a certificate that ends": Fault("certificate", "expires_soon", "Renew", _certificate(5)),
    "a redirect": Fault("public_answer", "redirected", "redirect", _proxy("redirects")),
    "another server": Fault("public_answer", "another", "HOST and PORT", _proxy("another")),
    "a host that is not allowed": Fault(
        "allowed_hosts", "missing", "TELLWIRE_ALLOWED_HOSTS", settings={"allowed_hosts": ("127.0.0.1",)}
    ),
    "no verify token": Fault(
        "verify_token", "unset", "TELLWIRE_META_VERIFY_TOKEN", settings={"meta_verify_token": ""}
    ),
    "a proxy that drops queries": Fault("verify_token", "refused", "query", _proxy("drops the query")),
    "a proxy that changes answers": Fault("verify_token", "altered", "challenge", _proxy("adds to answers")),
    "no app secret": Fault("app_secret", "unset", "TELLWIRE_META_APP_SECRET", settings={"meta_app_secret": ()}),
    "a proxy that drops headers": Fault("app_secret", "refused", "X-Hub-Signature-256", _proxy("drops the signature")),
    "the app secret of another app": Fault(
        "app_secret_at_meta", "another", "App Secret", settings={"meta_app_secret": (AppSecret("of-another-app"),)}
    ),
    "Graph out of reach": Fault("graph", "unreached", "TELLWIRE_META_GRAPH_URL", _stop_meta),
    "no token": Fault("token", "missing", "access token", _with_token(""), account=False),
    "a token that nobody knows": Fault("token", "invalid", "new token", _with_token("wrong"), account=False),
    "an expired token": Fault("token", "invalid", "new token", lambda there: there.meta.invalidate(TOKEN)),
    "a token that ends": Fault(
        "token", "expires_soon", "never expires", _set("expires_at", int(time.time()) + 86_400)
    ),
    "a token without a scope": Fault(
        "token_scopes", "missing", "whatsapp_business_management", _set("scopes", ("whatsapp_business_messaging",))
    ),
    "a number of others": Fault(
        "number", "not_shown", "phone_number_id", lambda there: there.account(phone_number_id="404"), account=False
    ),
    "a number that is not registered": Fault("number", "not_connected", "two-step PIN", _number(status="PENDING")),
    "a number that is not verified": Fault(
        "number", "not_verified", "Verify", _number(code_verification_status="EXPIRED")
    ),
    "a number of poor quality": Fault("number", "poor_quality", "quality", _number(quality_rating="RED")),
    "an app that is not subscribed": Fault(
        "app_subscribed", "not", "Subscribe the app", lambda there: there.meta.subscribed.discard(WABA)
    ),
    "a callback elsewhere": Fault("callback", "elsewhere", "callback URL", _subscription(callback_url=OTHER)),
    "a number's own callback": Fault("callback", "overridden", "alternate callback URL", _number(callback=OTHER)),
    "a WABA's own callback": Fault(
        "callback", "overridden", "alternate callback URL", lambda there: there.meta.app.of_waba.update({WABA: OTHER})
    ),
    "no callback": Fault("callback", "none", "Subscribe the app", _set("subscription", None)),
    "a callback that is off": Fault("callback", "inactive", "Save the callback URL", _subscription(active=False)),
    "no messages": Fault("webhook_fields", "messages", "`messages`", _subscription(fields=FIELDS[1:])),
    "messages alone": Fault("webhook_fields", "others", "Subscribe the fields", _subscription(fields=("messages",))),
    "a model that is down": Fault("models", "unreached", "base_url", _agent),
    "a quota that is nearly used up": Fault(
        "quotas", "near", "quota", lambda there: there.account(phone_number_id="404", access_token=TOKEN),
        settings={"quota_accounts": 2},
    ),
    "a full disk": Fault(
        "disk", "disk_nearly_full", "Free space", lambda there: there.app.outside.disks.append(
            Disk("the database", "/srv", 100 * GIB, GIB // 2)
        ),
    ),
    "a clock that is wrong": Fault(
        "clock", "clock_off", "NTP", clock=lambda: SetClock(time.time_ns() // 1000 - 3600 * 1_000_000)
    ),
    "a number without an account": Fault(
        "unrouted", "number_unknown", "Create the account", _unrouted, settings={"auto_accounts": False}
    ),
    "a handshake that was refused": Fault("refused", "verify_token_wrong", "verify token", _handshake_refused),
    "a disabled endpoint": Fault("endpoints", "endpoint_disabled", "resume", _disabled),
}  # fmt: skip


def examined(there: Site, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """What the command finds about the server."""
    return found_by(capsys, "--url", there.url, "--key", ADMIN)


def found_by(capsys: pytest.CaptureFixture[str], *options: str) -> list[dict[str, Any]]:
    """What the command finds, whose exit code agrees with it."""
    capsys.readouterr()
    code = main(["doctor", "--json", *options])
    said = capsys.readouterr().out
    assert not any(secret in said for secret in (TOKEN, APP_SECRET, ADMIN))
    checks: list[dict[str, Any]] = json.loads(said)["checks"]
    broken = [each for each in checks if each["state"] == "broken"]
    if any((each["check"], each["fault"]) == ("server", "none") for each in broken):
        assert code == NO_SERVER
    else:
        assert code == (FAILED if broken else DONE)
    assert json.loads(said)["works"] == (not broken)
    return checks


def test_a_healthy_installation_is_ok_throughout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with site(tmp_path) as there:
        before = there.app.query("SELECT count(*) FROM inbound")
        found = examined(there, capsys)
        assert [each for each in found if each["state"] != "ok"] == []
        expected = {*CHECKS} - {*HERE} - {"graph", "database_clock"}
        assert {each["check"] for each in found} >= expected
        assert there.app.query("SELECT count(*) FROM inbound") == before
        assert there.meta.webhooks.posted.posts == 0


@pytest.mark.parametrize("planted", FAULTS.values(), ids=FAULTS)
def test_each_planted_fault_is_found_with_its_remedy(
    planted: Fault, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known = CHECKS[planted.check].faults.get(planted.name)
    state = known.state if known else OF_VERDICT[planted.name][1]
    clock = planted.clock() if planted.clock else None
    with site(tmp_path, clock=clock, account=planted.account, **planted.settings) as there:
        planted.plant(there)
        found = examined(there, capsys)
    [told] = [each for each in found if (each["check"], each["fault"]) == (planted.check, planted.name)]
    assert told["state"] == state
    assert planted.remedy in told["remedy"]
    assert told["cause"]


# --- what is found on the machine of the command ----------------------------------------------------------------------


class Here(NamedTuple):
    """A fault of this machine: how it is planted in a folder, and what finds it."""

    check: str
    name: str
    remedy: str
    plant: Callable[[Path, pytest.MonkeyPatch], object]


def _file(name: str, text: str, mode: int = 0o600) -> Callable[[Path, pytest.MonkeyPatch], None]:
    def plant(folder: Path, _: pytest.MonkeyPatch) -> None:
        (folder / name).write_text(text)
        (folder / name).chmod(mode)

    return plant


def _variable(name: str, value: str) -> Callable[[Path, pytest.MonkeyPatch], object]:
    return lambda _, patch: patch.setenv(name, value)


def _database(revision: str) -> Callable[[Path, pytest.MonkeyPatch], None]:
    def plant(folder: Path, _: pytest.MonkeyPatch) -> None:
        with closing(sqlite3.connect(folder / "tellwire.db")) as database, database:
            database.execute("CREATE TABLE alembic_version (version_num TEXT)")
            database.execute("INSERT INTO alembic_version VALUES (?)", [revision])

    return plant


ON_THIS_MACHINE = {
    "a setting that nobody knows": Here("settings", "unreadable", "settings.md", _variable("TELLWIRE_PROT", "1")),
    "a variable without the prefix": Here(
        "setting_names", "near_miss", "Rename", _variable("META_APP_SECRET", APP_SECRET)
    ),
    "a settings file that all may read": Here(
        "secret_files", "open", "permissions", _file("tellwire.toml", 'meta_app_secret = "x"', 0o644)
    ),
    "a master key that all may read": Here(
        "master_key", "open", "permissions", _file("tellwire.db.master-key", "key", 0o644)
    ),
    "a master key that is gone": Here("master_key", "missing", "Put back the key", _file("tellwire.db", "")),
    "no server": Here("server", "none", "Start the server", lambda *_: None),
    "no database": Here("database_file", "missing", "TELLWIRE_DATABASE_URL", lambda *_: None),
    "a damaged database": Here("database_file", "damaged", "backup", _file("tellwire.db", "no database" * 400)),
    "an older schema": Here("schema", "older", "Migrate", _database("0000_before")),
    "a newer schema": Here("schema", "newer", "newer", _database("9999_later")),
}


@pytest.mark.parametrize("planted", ON_THIS_MACHINE.values(), ids=ON_THIS_MACHINE)
def test_each_fault_of_this_machine_is_found_with_its_remedy(
    planted: Here, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _alone_in(tmp_path, monkeypatch)
    planted.plant(tmp_path, monkeypatch)
    before = sorted(path.name for path in tmp_path.iterdir())
    [told] = [each for each in found_by(capsys) if (each["check"], each["fault"]) == (planted.check, planted.name)]
    assert told["state"] == HERE[planted.check].faults[planted.name].state
    assert planted.remedy in told["remedy"]
    assert sorted(path.name for path in tmp_path.iterdir()) == before, "looking changed something"


def test_here_and_the_server_are_told_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _alone_in(tmp_path, monkeypatch)
    with site(tmp_path) as there:
        monkeypatch.setenv("TELLWIRE_URL", there.url)
        monkeypatch.setenv("TELLWIRE_KEY", ADMIN)
        found = found_by(capsys)
        assert {"settings", "server", "callback"} <= {each["check"] for each in found}
        assert [each for each in found if each["state"] != "ok"] == []
        monkeypatch.setenv("TELLWIRE_KEY", there.app.key("read"))
        [told] = [each for each in found_by(capsys) if each["state"] != "ok"]
        assert (told["check"], told["fault"], told["state"]) == ("server", "not_operator", "unknown")


def test_an_extra_that_a_setting_asks_for() -> None:
    asking = replace(SETTINGS, media_url="s3://bucket/here?endpoint=https://s3.example.com", tracing=True)
    missing = list(extras(asking, lambda module: module != "obstore"))
    assert [(each.check, each.fault, each.command) for each in missing] == [
        ("extras", "missing", "pip install 'tellwire[s3]'")
    ]
    assert [each.state for each in extras(asking, lambda _: True)] == ["ok"]
    assert [each.state for each in extras(SETTINGS, lambda _: False)] == ["ok"]


def test_a_server_that_does_not_admit_this_machine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with site(tmp_path, account=False, allowed_hosts=(HOST,)) as there:
        there.app.run(there.simulator.stop())
        [told] = [each for each in examined(there, capsys) if each["check"] == "server"]
        assert (told["fault"], told["state"]) == ("host_refused", "broken")
        assert "TELLWIRE_ALLOWED_HOSTS" in told["remedy"]


def test_a_proxy_that_holds_streams_back(tmp_path: Path) -> None:
    with site(tmp_path, account=False) as there:
        assert Client(there.url, ADMIN).streams("events", "stream", seconds=20)
    with closing(create_server(("127.0.0.1", 0))) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        assert not Client(url, ADMIN).streams("events", "stream", seconds=0.01)


def _alone_in(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Be in a folder where no setting is, and no server is known."""
    for name in [name for name in os.environ if name.startswith("TELLWIRE_")]:
        patch.delenv(name)
    patch.setenv("XDG_CONFIG_HOME", str(folder / "nothing"))
    patch.chdir(folder)


def test_what_is_told_to_people(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with site(tmp_path) as there:
        there.meta.subscribed.discard(WABA)
        assert main(["doctor", "--url", there.url, "--key", ADMIN]) == FAILED
        said = capsys.readouterr().out
        assert f"✗ app_subscribed [Shop ({NUMBER})]: No app is subscribed." in said
        assert "    broken. Subscribe the app to the account" in said
        assert "    $ tellwire meta connect" in said
        assert "✓" not in said
        assert "1 broken, 0 to look at, 0 not checked" in said


def test_every_fault_is_planted_here_or_in_the_tests_of_its_rules() -> None:
    planted = {(each.check, each.name) for each in FAULTS.values()}
    planted |= {(each.check, each.name) for each in ON_THIS_MACHINE.values()}
    known = {(name, fault) for name, check in CHECKS.items() for fault in check.faults}
    verdict = {(OF_VERDICT[kind][0], kind) for kind in KINDS}
    assert planted <= known | verdict
    assert {check for check, _ in known - planted} <= {
        *("database", "database_clock", "descriptors"),  # tests/unit/doctor
        *("server", "versions", "clock_here", "buffering", "database_file", "extras"),
        *("verify_token", "app_secret", "token", "app_subscribed", "callback"),  # what cannot be checked
    }
