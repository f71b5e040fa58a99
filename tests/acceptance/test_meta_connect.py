"""`tellwire meta connect` against a whole installation: from nothing to messages that arrive, and each way to fail."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.doctor_site import APP_SECRET, CALLBACK, HOST, NUMBER, TOKEN, VERIFY, WABA, Site, site
from tests.served import ADMIN

from tellwire.cli import DONE, FAILED, MISUSED, main
from tellwire.cli.client import Client
from tellwire.cli.meta_connect import Connect, Given, Step
from tellwire.doctor.meta_answers import FIELDS
from tellwire.settings import AppSecret
from tellwire.simulator.apps import APP_ID, Subscription

PIN = "123456"
OWN = ("messages", "calls")


def new(there: Site) -> Site:
    """A WhatsApp account that nobody has connected."""
    there.meta.subscribed.discard(WABA)
    there.meta.app.subscription = None
    return there


def connect(
    there: Site, capsys: pytest.CaptureFixture[str], *more: str, without: tuple[str, ...] = (), key: str = ADMIN
) -> tuple[int, list[dict[str, Any]], str]:
    """The exit code, the steps, and everything that was printed; secrets come from files."""
    options = {"--access-token": TOKEN, "--app-secret": APP_SECRET, "--verify-token": VERIFY}
    given: list[str] = []
    for option, secret in options.items():
        if option in without:
            continue
        file = there.folder / option.strip("-")
        if not file.exists():
            file.write_text(f"{secret}\n")
        given += [option, f"@{file}"]
    capsys.readouterr()
    code = main(["meta", "connect", "--yes", "--json", "--url", there.url, "--key", key, *given, *more])
    out, err = capsys.readouterr()
    assert not any(secret in out + err for secret in (TOKEN, APP_SECRET, VERIFY, PIN))
    return code, json.loads(out)["steps"] if out else [], err


def states(steps: list[dict[str, Any]]) -> dict[str, str]:
    return {step["name"]: step["state"] for step in steps}


def test_from_nothing_to_messages_that_arrive(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with site(tmp_path, account=False) as there:
        code, steps, _ = connect(new(there), capsys)
        assert code == DONE, steps
        assert states(steps) == {
            "token": "already",
            "app secret": "already",
            "number": "already",
            "account": "done",
            "public URL": "already",
            "verify token": "already",
            "subscription": "done",
            "webhooks": "done",
        }
        [account] = there.app.get("/v1/accounts")["data"]
        assert (account["phone_number_id"], account["waba_id"], account["has_access_token"]) == (NUMBER, WABA, True)
        assert not account["has_app_secret"]  # META_APP_SECRET has it
        assert there.meta.app.subscription == Subscription(CALLBACK, FIELDS, VERIFY)
        assert WABA in there.meta.subscribed
        assert there.app.meta({"object": "whatsapp_business_account", "entry": []}).status == 200
        assert main(["doctor", "--url", there.url, "--key", ADMIN]) == DONE

        code, steps, _ = connect(there, capsys)
        assert code == DONE
        assert states(steps) == dict.fromkeys(states(steps), "already") | {"account": "done"}
        assert len(there.app.get("/v1/accounts")["data"]) == 1


def test_fields_that_were_subscribed_stay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with site(tmp_path, account=False) as there:
        new(there).meta.app.subscription = Subscription("https://old.example.com/webhook", OWN)
        code, _, _ = connect(there, capsys)
        assert code == DONE
        assert there.meta.app.subscription is not None
        assert {*there.meta.app.subscription.fields} == {*FIELDS, *OWN}


def test_the_app_secret_goes_to_the_account_where_the_server_has_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with site(tmp_path, account=False, meta_app_secret=(AppSecret("of-another-app"),)) as there:
        code, steps, _ = connect(new(there), capsys)
        assert code == DONE, steps
        assert there.app.get(f"/v1/accounts/{NUMBER}")["has_app_secret"]


def test_a_number_is_registered_only_when_it_is_wanted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with site(tmp_path, account=False) as there:
        new(there).meta.app.numbers[NUMBER] = {"status": "PENDING"}
        code, steps, _ = connect(there, capsys)
        assert (code, steps[-1]["name"], steps[-1]["state"]) == (FAILED, "number", "failed")
        assert "--register --pin" in steps[-1]["remedy"]
        assert there.app.get("/v1/accounts")["data"] == []
        (there.folder / "pin").write_text(PIN)
        code, steps, _ = connect(there, capsys, "--register", "--pin", f"@{there.folder / 'pin'}")
        assert code == DONE, steps
        assert states(steps)["number"] == "done"


class Wrong(NamedTuple):
    """What is wrong, at which step that shows, and words of what is said and of the remedy."""

    step: str
    said: str
    remedy: str
    plant: Callable[[Site], object] = lambda _: None
    options: tuple[str, ...] = ()
    settings: dict[str, Any] = {}  # noqa: RUF012 - never changed


def _written(option: str, text: str) -> Callable[[Site], object]:
    return lambda there: (there.folder / option).write_text(text)


WRONG = {
    "a token that nobody knows": Wrong("token", "Invalid OAuth", "new token", _written("access-token", "unknown")),
    "an expired token": Wrong("token", "expired", "new token", lambda there: there.meta.invalidate(TOKEN)),
    "a token without a scope": Wrong(
        "token", "lacks whatsapp_business_management", "permissions",
        lambda there: setattr(there.meta.app, "scopes", ("whatsapp_business_messaging",)),
        ("--waba-id", WABA),
    ),
    "a token of another app": Wrong("token", APP_ID, "app's id", options=("--app-id", "42")),
    "another app's secret": Wrong("app secret", "Meta refuses it", "App Secret", _written("app-secret", "another")),
    "a WABA of others": Wrong("numbers", "does not exist", "Assign", options=("--waba-id", "404")),
    "no public URL": Wrong("public URL", "none", "TELLWIRE_PUBLIC_URL", settings={"public_url": ""}),
    "another public URL": Wrong(
        "public URL", HOST, "TELLWIRE_PUBLIC_URL=https://new.example.com",
        options=("--public-url", "https://new.example.com"),
    ),
    "a public URL that redirects": Wrong(
        "public URL", "301", "redirect", lambda there: setattr(there.proxy, "manner", "redirects")
    ),
    "another verify token": Wrong(
        "verify token", "another verify token", "TELLWIRE_META_VERIFY_TOKEN", _written("verify-token", "another")
    ),
    "Meta out of reach": Wrong(
        "token", "does not answer", "TELLWIRE_META_GRAPH_URL", lambda there: there.app.run(there.simulator.stop())
    ),
    "Meta does not reach the callback URL": Wrong(
        "webhooks", "verification failed", "tellwire doctor", lambda there: there.metas_sender.cut()
    ),
}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_each_failure_is_named_with_its_remedy(
    wrong: Wrong, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with site(tmp_path, account=False, **wrong.settings) as there:
        wrong.plant(new(there))
        code, steps, _ = connect(there, capsys, *wrong.options)
        assert code == FAILED
        assert all(step["state"] != "failed" for step in steps[:-1])
        assert (steps[-1]["name"], steps[-1]["state"]) == (wrong.step, "failed")
        assert wrong.said in steps[-1]["said"]
        assert wrong.remedy in steps[-1]["remedy"]
        if wrong.step != "webhooks":
            assert there.meta.app.subscription is None


def test_what_is_missing_and_cannot_be_asked_for_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with site(tmp_path, account=False) as there:
        for option in ("--access-token", "--app-secret", "--verify-token"):
            code, _, err = connect(new(there), capsys, without=(option,))
            assert (code, f"give {option} @FILE" in err) == (MISUSED, True), err
        code, _, err = connect(there, capsys, "--register")
        assert (code, "--pin" in err) == (MISUSED, True)
        code, steps, _ = connect(there, capsys, key=there.app.key("accounts:manage", "read"))
        assert (code, steps[-1]["name"]) == (FAILED, "server")
        assert "operator" in steps[-1]["remedy"]


# --- asked in a terminal ----------------------------------------------------------------------------------------------


def test_a_person_is_asked_for_what_is_missing_and_mends_what_is_wrong(tmp_path: Path) -> None:
    with site(tmp_path, account=False) as there:
        new(there).meta.app.subscription = Subscription("https://old.example.com/webhook", OWN)
        there.proxy.manner = "redirects"
        asked, told, questions = list[str](), list[Step](), list[str]()

        def ask(option: str, _what: str, *, secret: bool) -> str:
            asked.append(option)
            assert secret
            return {"--access-token": TOKEN, "--app-secret": APP_SECRET, "--verify-token": VERIFY}[option]

        def again(step: Step) -> bool:
            told.append(step)
            there.proxy.manner = ""
            return True

        def sure(question: str) -> bool:
            questions.append(question)
            return False

        steps = list(Connect(lambda: Client(there.url, ADMIN), Given(), ask=ask, sure=sure, again=again).steps())
        assert asked == ["--access-token", "--app-secret", "--verify-token"]
        assert [step.name for step in told] == ["public URL"]
        assert "https://old.example.com/webhook" in questions[0]
        assert (steps[-1].name, steps[-1].state) == ("webhooks", "left"), "another system's callback URL was taken"
        assert there.meta.app.subscription is not None
        assert there.meta.app.subscription.callback_url == "https://old.example.com/webhook"
