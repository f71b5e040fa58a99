"""Settings: where each value comes from, what each takes, and that mistakes are named."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tellwire.errors import BadSettings
from tellwire.ports.mail import MailServer
from tellwire.settings import (
    DEV_DEFAULTS,
    LOOPBACK,
    SETTINGS,
    AppSecret,
    Settings,
    load,
    read,
    reference,
    shown,
    variable_of,
)
from tellwire.settings.values import ProxyAddress, allowed_network

KEY = bytes(range(32))
SECRETS = {
    "TELLWIRE_ADMIN_KEY": "tw_bootstrap_key_of_32_characters",
    "TELLWIRE_MASTER_KEY": base64.b64encode(KEY).decode(),
    "TELLWIRE_META_APP_SECRET": "hidden-app-secret,bound-app-secret@106540352242922",
    "TELLWIRE_META_VERIFY_TOKEN": "hidden-verify-token",
    "TELLWIRE_ALERT_WEBHOOK_URL": "https://ops.example.org/hidden-path",
    "TELLWIRE_ALERT_WEBHOOK_SECRET": "hidden-webhook-secret",
    "TELLWIRE_ALERT_SLACK_URL": "https://hooks.example.org/hidden-path",
    "TELLWIRE_ALERT_SMTP_URL": "smtp://user:hidden-word@mail",
    "TELLWIRE_ALERT_MAIL_TO": "ana@example.org",
    "TELLWIRE_DATABASE_URL": "postgresql://tellwire:hidden-password@db/tellwire?password=hidden-too",
}


def settings_of(folder: Path, **variables: str) -> Settings:
    return load({f"TELLWIRE_{name}": value for name, value in variables.items()}, directory=folder)


def problem_of(folder: Path, **variables: str) -> str:
    with pytest.raises(BadSettings) as caught:
        settings_of(folder, **variables)
    return str(caught.value)


# --- where values come from -------------------------------------------------------------------------------------------


def test_defaults_are_those_of_the_reference(tmp_path: Path) -> None:
    loaded = read({"HOME": "/root", "TELLWIRE": "no prefix"}, directory=tmp_path)
    assert loaded.settings == Settings(
        database_url="sqlite:///tellwire.db",
        database_pooler=False,
        host="127.0.0.1",
        port=8700,
        allowed_hosts=(),
        admin_key="",
        master_key=(),
        meta_app_secret=(),
        meta_verify_token="",
        meta_graph_url="https://graph.facebook.com/v24.0",
        auto_accounts=False,
        delivery_allow_cidrs=(),
        delivery_timeout_seconds=15,
        retry_schedule=None,
        conversation_window_hours=24,
        retention_days=90,
        retention_messages_days=None,
    )
    assert set(loaded.sources.values()) == {"default"}


def test_environment_over_file_over_given_defaults(tmp_path: Path) -> None:
    (tmp_path / "tellwire.toml").write_text(
        'port = 1\nhost = "::1"\nretry_schedule = [5, 0.5]\nauto_accounts = false\n'
    )
    loaded = read({"TELLWIRE_PORT": "2"}, directory=tmp_path, defaults=DEV_DEFAULTS)
    settings = loaded.settings
    assert (settings.port, settings.host, settings.retry_schedule) == (2, "::1", (5, 0.5))
    assert (settings.auto_accounts, settings.delivery_allow_cidrs) == (False, LOOPBACK)
    assert loaded.sources["port"] == "TELLWIRE_PORT"
    assert loaded.sources["host"] == str(tmp_path / "tellwire.toml")
    assert loaded.sources["delivery_allow_cidrs"] == "default"


def test_another_file_may_be_named(tmp_path: Path) -> None:
    (tmp_path / "tellwire.toml").write_text("port = 1")
    (tmp_path / "other.toml").write_text("port = 3")
    assert settings_of(tmp_path, CONFIG="other.toml").port == 3
    assert "missing.toml, which cannot be read" in problem_of(tmp_path, CONFIG="missing.toml")


def test_a_value_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret\n")
    loaded = read({"TELLWIRE_META_VERIFY_TOKEN_FILE": str(tmp_path / "secret")}, directory=tmp_path)
    assert loaded.settings.meta_verify_token == "s3cret"
    assert loaded.sources["meta_verify_token"] == "TELLWIRE_META_VERIFY_TOKEN_FILE"


def test_a_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "bytes").write_bytes(b"\xff")
    for name, what in {
        "empty": "is empty",
        "bytes": "is not UTF-8",
        "missing": "cannot be read",
        ".": "cannot be",
    }.items():
        problem = problem_of(tmp_path, ADMIN_KEY_FILE=str(tmp_path / name))
        assert problem.startswith("TELLWIRE_ADMIN_KEY_FILE names ")
        assert what in problem
    (tmp_path / "key").write_text("tw_x")
    assert "both set" in problem_of(tmp_path, ADMIN_KEY_FILE=str(tmp_path / "key"), ADMIN_KEY="tw_y")


def test_an_empty_variable_is_not_set(tmp_path: Path) -> None:
    assert (
        load({variable_of(name): " " for name in SETTINGS} | {"TELLWIRE_CONFIG": ""}, directory=tmp_path) == Settings()
    )


# --- mistakes ---------------------------------------------------------------------------------------------------------


def test_an_unknown_name_is_an_error_with_the_nearest_known(tmp_path: Path) -> None:
    assert problem_of(tmp_path, PROT="1") == "TELLWIRE_PROT is not a setting; did you mean TELLWIRE_PORT?"
    assert "did you mean TELLWIRE_PORT?" in problem_of(tmp_path, port="1")
    assert "did you mean TELLWIRE_CONFIG?" in problem_of(tmp_path, CONFG="x")
    assert "`tellwire config --reference` lists all" in problem_of(tmp_path, QQQQ="1")
    assert "enableServiceLinks" in problem_of(tmp_path, SERVICE_HOST="10.0.0.1", PORT="tcp://10.0.0.1:80")
    (tmp_path / "tellwire.toml").write_text("Prt = 1")
    assert problem_of(tmp_path) == f"Prt in {tmp_path / 'tellwire.toml'} is not a setting; did you mean port?"


@pytest.mark.parametrize("text", ["port = ", "port = 1\nport = 2", "[port]\nx = 1", "port = [1, 2]", "host = [[1]]"])
def test_a_file_that_makes_no_sense_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "tellwire.toml").write_text(text)
    assert "tellwire.toml" in problem_of(tmp_path)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(("PORT", text) for text in ("x", "-1", "65536", "80.5", "1" * 5000)),
        *(("DATABASE_POOLER", text) for text in ("maybe", "2")),
        *(("DATABASE_URL", text) for text in ("x", "sqlite://", "sqlite:///", "sqlite:///:memory:", "mysql://h/d")),
        *(("DATABASE_URL", text) for text in ("postgresql://", "postgresql+asyncpg://h/d", "postgresql://h:port/d")),
        *(("HOST", text) for text in ("a b", "http://x")),
        *(
            (name, text)
            for name in ("HTTP_MAX_CONNECTIONS", "HTTP_MAX_CONNECTIONS_PER_PEER")
            for text in ("0", "-1", "many", "1.5")
        ),
        *(("ALLOWED_HOSTS", text) for text in ("a/b", "*x y")),
        *(("ADMIN_KEY", text) for text in ("two words of more than 32 characters", "ключ" * 8, "x" * 31, "x" * 513)),
        *(("MASTER_KEY", text) for text in ("AAAA", "!" * 44, base64.b64encode(bytes(31)).decode())),
        *(("META_APP_SECRET", text) for text in ("secret@", "@123", "secret@name")),
        *(
            ("META_GRAPH_URL", text)
            for text in ("graph.facebook.com", "ftp://x", "https://", "https://u@x", "https://x?y=1")
        ),
        *(
            (name, text)
            for name in ("DELIVERY_ALLOW_CIDRS", "MODEL_ALLOW_CIDRS", "TOOL_ALLOW_CIDRS")
            for text in (
                *("10.0.0.1/8", "localhost", "localhost:443", "10.0.0.0/33", "10.0.0.0/8:", "10.0.0.0/8:0", ":443"),
                *("10.0.0.0/8:65536", "10.0.0.0/8:443-", "10.0.0.0/8:-443", "10.0.0.0/8:9-8", "10.0.0.0/8:https"),
                *("10.0.0.0/8:443:444", "10.0.0.0/8 :443", "10.0.0.0:443/8", "[10.0.0.0]/8:443", "[::1/128]:443"),
                *("[fd00::]/8:", "[fd00::]8:443", "[fd00::1]/8:443", "[fd00::/8", "fd00::/8:443", "10.0.0.0/8:４４３"),
            )
        ),
        ("SHOW_ALLOW_LISTED_ANSWERS", "perhaps"),
        *(
            ("DELIVERY_PROXY", text)
            for text in (
                "proxy:3128",
                "http://proxy",
                "https://proxy:1",
                "http://u:p@proxy:1",
                "http://proxy:1/x",
                "http://x:y",
            )
        ),
        *(
            ("MEDIA_URL", text)
            for text in (
                "file:///",
                "file://host/x",
                "s3:///prefix",
                "s3://key:word@bucket",
                "s3://bucket?endpoint=https://key:word@s3.example.org",
                "s3://bucket?endpoint=https%3A%2F%2Fkey%3Aword%40s3.example.org",
                "s3://bucket?endpoint=s3.example.org",
                "s3://bucket?secret_access_key=word",
            )
        ),
        *(
            (name, text)
            for name in ("ALERT_WEBHOOK_URL", "ALERT_SLACK_URL")
            for text in ("ops.example.org", "ftp://x", "https://", "https://u:p@x", "https://x/a b", "https://x:y")
        ),
        *(("ALERT_WEBHOOK_SECRET", text) for text in ("short", "whsec_!", "whsec_AAAA", "x" * 129)),
        *(
            ("ALERT_SMTP_URL", text)
            for text in (
                *(
                    "mail.example.org",
                    "smtp://",
                    "http://x",
                    "smtp://x/y",
                    "smtp://x?tls=no",
                    "smtp://x:y",
                    "smtp://x#y",
                ),
                *("smtps://x?starttls=true", "smtp://x?starttls=maybe", "smtp://user@x", "smtp://:word@x"),
                *("smtp://user:word@x?starttls=false", "smtp://us%0Aer:word@x", "smtp://user:w%C3%B6rd@x"),
            )
        ),
        *(("ALERT_MAIL_TO", text) for text in ("ana", "Ana <ana@example.org>", "a@b@c", "a b@c", "@c", "a@")),
        *(("ALERT_MAIL_FROM", text) for text in ("ana", "a@b\nBcc: c@d")),
        *(("ALERT_SEVERITY", text) for text in ("info", "2")),
        *((name, text) for name in ("ALERT_AFTER_SECONDS", "ALERT_REPEAT_HOURS") for text in ("-1", "nan", "1h")),
        *(("DELIVERY_TIMEOUT_SECONDS", text) for text in ("0", "-1", "nan", "inf", "15s")),
        *(("RETRY_SCHEDULE", text) for text in ("5;6", "5,-1", "5,inf")),
        *(("CONVERSATION_WINDOW_HOURS", text) for text in ("-0.1", "nan", "never")),
        *((name, text) for name in ("RETENTION_DAYS", "RETENTION_MESSAGES_DAYS") for text in ("0", "-1", "x")),
    ],
)
def test_a_malformed_value_is_named_with_what_it_takes(tmp_path: Path, name: str, text: str) -> None:
    assert problem_of(tmp_path, **{name: text}).startswith(f"TELLWIRE_{name} takes {SETTINGS[name.lower()].takes}")


@pytest.mark.parametrize("name", ["MEDIA_URL", "META_GRAPH_URL", "PUBLIC_URL", "DELIVERY_PROXY"])
def test_a_refused_url_with_a_password_is_not_repeated(tmp_path: Path, name: str) -> None:
    assert "pass-word" not in problem_of(tmp_path, **{name: "https://user:pass-word@host.example"})


def test_postgresql_needs_a_master_key(tmp_path: Path) -> None:
    assert "TELLWIRE_MASTER_KEY is required with PostgreSQL" in problem_of(tmp_path, DATABASE_URL="postgresql://db/x")


@given(name=st.sampled_from(sorted(SETTINGS)), text=st.text())
def test_any_text_is_a_value_or_the_documented_error(name: str, text: str) -> None:
    try:
        settings = load({variable_of(name): text}, directory=Path("/nonexistent"))
    except BadSettings:
        return
    again = shown(settings, name)
    assert again == "" or "***" in again or shown(load({variable_of(name): again}), name) == again


# --- values -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["true", "YES", "on", "1"])
def test_flags(tmp_path: Path, text: str) -> None:
    assert settings_of(tmp_path, AUTO_ACCOUNTS=text).auto_accounts is True


def test_app_secrets_with_their_bindings(tmp_path: Path) -> None:
    assert settings_of(tmp_path, META_APP_SECRET="one, two@106540352242922 ,th@ree@12,").meta_app_secret == (
        AppSecret("one"),
        AppSecret("two", "106540352242922"),
        AppSecret("th@ree", "12"),
    )


def test_master_keys_in_both_alphabets(tmp_path: Path) -> None:
    other = bytes(range(224, 256))
    urlsafe = base64.urlsafe_b64encode(other).decode().rstrip("=")
    both = f"{base64.b64encode(KEY).decode()},{urlsafe},{base64.b64encode(other).decode()}"
    assert settings_of(tmp_path, MASTER_KEY=both).master_key == (KEY, other, other)


def test_lists_and_numbers(tmp_path: Path) -> None:
    settings = settings_of(
        tmp_path,
        RETRY_SCHEDULE="1, 2.5,0",
        DELIVERY_ALLOW_CIDRS="127.0.0.0/8,::1/128",
        CONVERSATION_WINDOW_HOURS="0",
        META_GRAPH_URL="http://127.0.0.1:9000/v24.0/",
        RETENTION_MESSAGES_DAYS="365",
        DELIVERY_PROXY="http://[::1]:3128/",
        MEDIA_URL="s3://bucket/prefix?endpoint=https://s3.example.org",
    )
    assert shown(settings, "media_url") == "s3://bucket/prefix?endpoint=https://s3.example.org"
    assert settings.delivery_proxy == ProxyAddress("::1", 3128)
    assert shown(settings, "delivery_proxy") == "http://[::1]:3128"
    assert settings.retry_schedule == (1, 2.5, 0)
    assert settings.delivery_allow_cidrs == LOOPBACK
    assert settings.conversation_window_hours == 0
    assert settings.meta_graph_url == "http://127.0.0.1:9000/v24.0"
    assert settings.retention_messages_days == 365


@pytest.mark.parametrize(
    ("text", "shown_as", "ports"),
    [
        ("10.0.0.0/8", "10.0.0.0/8", (1, 65535)),
        ("10.0.0.0/8:443", "10.0.0.0/8:443", (443, 443)),
        ("10.0.0.5:8000-8010", "10.0.0.5/32:8000-8010", (8000, 8010)),
        ("10.0.0.0/255.0.0.0:1-65535", "10.0.0.0/8", (1, 65535)),
        ("fd00::/8", "fd00::/8", (1, 65535)),
        ("[fd00::]/8", "fd00::/8", (1, 65535)),
        ("[fd00::]/8:8000-8010", "[fd00::]/8:8000-8010", (8000, 8010)),
        ("[::1]:8080", "[::1]/128:8080", (8080, 8080)),
        ("::1:8080", "::1:8080/128", (1, 65535)),
    ],
)
def test_networks_of_an_allow_list(tmp_path: Path, text: str, shown_as: str, ports: tuple[int, int]) -> None:
    settings = settings_of(tmp_path, TOOL_ALLOW_CIDRS=f" {text} ,127.0.0.1")
    [entry, _] = settings.tool_allow_cidrs
    assert (entry.first_port, entry.last_port) == ports
    assert shown(settings, "tool_allow_cidrs") == f"{shown_as},127.0.0.1/32"
    assert allowed_network(shown_as) == entry


def test_database_urls(tmp_path: Path) -> None:
    assert settings_of(tmp_path, DATABASE_URL="sqlite:///data/x.db").sqlite_path == Path("data/x.db")
    assert settings_of(tmp_path, DATABASE_URL="sqlite:////data/x.db").sqlite_path == Path("/data/x.db")
    settings = settings_of(tmp_path, DATABASE_URL="postgres://u@h:5432/d", MASTER_KEY=SECRETS["TELLWIRE_MASTER_KEY"])
    assert (settings.database_url, settings.sqlite_path) == ("postgresql://u@h:5432/d", None)


@pytest.mark.parametrize(
    ("host", "accepted"),
    [
        ("127.0.0.1", ("127.0.0.1", "localhost", "::1")),
        ("[::1]", ("::1", "localhost", "127.0.0.1")),
        ("0.0.0.0", ("*",)),
        ("tellwire.example.org", ("tellwire.example.org",)),
    ],
)
def test_host_implies_which_hosts_are_answered(tmp_path: Path, host: str, accepted: tuple[str, ...]) -> None:
    assert settings_of(tmp_path, HOST=host).accepted_hosts == accepted
    assert settings_of(tmp_path, HOST=host, ALLOWED_HOSTS="A.example,*.b.example").accepted_hosts == (
        "a.example",
        "*.b.example",
    )


def test_the_host_of_the_public_url_is_answered_and_its_path_is_the_sub_path(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, PUBLIC_URL="https://Hooks.example.org:8443/shared/tellwire/")
    assert settings.accepted_hosts == ("127.0.0.1", "localhost", "::1", "hooks.example.org")
    assert (settings.sub_path, settings.base_url) == (
        "/shared/tellwire",
        "https://Hooks.example.org:8443/shared/tellwire",
    )
    assert settings_of(tmp_path, PUBLIC_URL="https://hooks.example.org/").sub_path == ""
    named = settings_of(tmp_path, PUBLIC_URL="https://hooks.example.org", ALLOWED_HOSTS="a.example")
    assert named.accepted_hosts == ("a.example",)


@pytest.mark.parametrize("path", ["/a b", "/a//b", "/../b", "/%2e", '/"', "/ä", "/.well-known"])
def test_a_path_of_the_public_url_has_one_spelling(tmp_path: Path, path: str) -> None:
    assert "TELLWIRE_PUBLIC_URL takes" in problem_of(tmp_path, PUBLIC_URL=f"https://hooks.example.org{path}")


@pytest.mark.parametrize(
    ("text", "server", "shown_as"),
    [
        ("smtp://mail", MailServer(host="mail", port=587, tls="starttls"), "smtp://mail:587"),
        ("smtps://mail/", MailServer(host="mail", port=465, tls="always"), "smtps://mail:465"),
        (
            "smtp://relay?starttls=false",
            MailServer(host="relay", port=25, tls="never"),
            "smtp://relay:25?starttls=false",
        ),
        (
            "smtp://ana%40example.org:p%40ss%2Fword@mail:2525",
            MailServer(host="mail", port=2525, tls="starttls", user="ana@example.org", password="p@ss/word"),
            "smtp://ana%40example.org:***@mail:2525",
        ),
        (
            "smtp://u:p@[::1]?starttls=no",
            MailServer(host="::1", port=25, tls="never", user="u", password="p"),
            "smtp://u:***@[::1]:25?starttls=false",
        ),
    ],
)
def test_mail_servers(tmp_path: Path, text: str, server: MailServer, shown_as: str) -> None:
    settings = settings_of(tmp_path, ALERT_SMTP_URL=text, ALERT_MAIL_TO="ana@example.org, ops@example.org")
    assert settings.alert_smtp_url == server
    assert settings.alert_mail_to == ("ana@example.org", "ops@example.org")
    assert shown(settings, "alert_smtp_url") == shown_as


@pytest.mark.parametrize(
    ("given", "needed"),
    [
        ({"ALERT_WEBHOOK_SECRET": "an invented secret"}, "ALERT_WEBHOOK_URL"),
        ({"ALERT_SMTP_URL": "smtp://mail"}, "ALERT_MAIL_TO"),
        ({"ALERT_MAIL_TO": "ana@example.org"}, "ALERT_SMTP_URL"),
        ({"ALERT_MAIL_FROM": "ana@example.org"}, "ALERT_MAIL_TO"),
    ],
)
def test_settings_of_alerts_go_together(tmp_path: Path, given: dict[str, str], needed: str) -> None:
    [name] = given
    assert problem_of(tmp_path, **given) == f"TELLWIRE_{name} needs TELLWIRE_{needed}"


# --- showing ----------------------------------------------------------------------------------------------------------


def test_nothing_secret_is_shown(tmp_path: Path) -> None:
    settings = load(SECRETS, directory=tmp_path)
    for text in (repr(settings), f"{settings}", *(shown(settings, name) for name in SETTINGS)):
        assert "hidden" not in text
        assert "bound-app" not in text
        assert "tw_bootstrap" not in text
        assert SECRETS["TELLWIRE_MASTER_KEY"] not in text
    assert shown(settings, "meta_app_secret") == "***,***@106540352242922"
    assert shown(settings, "database_url") == "postgresql://tellwire:***@db/tellwire?password=***"


@pytest.mark.parametrize("variable", [name for name in SECRETS if name != "TELLWIRE_META_VERIFY_TOKEN"])
def test_a_malformed_secret_is_not_repeated(tmp_path: Path, variable: str) -> None:
    assert "hidden" not in problem_of(tmp_path, **{variable.removeprefix("TELLWIRE_"): "hidden @ thing"})


def test_reference_has_a_row_for_each() -> None:
    for name in SETTINGS:
        assert f"| `{variable_of(name)}` |" in reference()


def test_texts_are_taken_without_the_blanks_around_them(tmp_path: Path) -> None:
    (tmp_path / "tellwire.toml").write_text('meta_verify_token = " pasted "\nmeta_app_secret = [" one ", "two "]')
    found = settings_of(tmp_path)
    assert found.meta_verify_token == "pasted"
    assert [each.value for each in found.meta_app_secret] == ["one", "two"]
    assert settings_of(tmp_path, META_VERIFY_TOKEN=" other\n").meta_verify_token == "other"


# --- what is nearly a setting -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("META_APP_SECRET", "TELLWIRE_META_APP_SECRET"),
        ("META_APP_SECRET_FILE", "TELLWIRE_META_APP_SECRET_FILE"),
        ("META_APP_SECRETS", "TELLWIRE_META_APP_SECRET"),
        ("META_APPSECRET", "TELLWIRE_META_APP_SECRET"),
        ("META_VERIFY_TOKEN", "TELLWIRE_META_VERIFY_TOKEN"),
        ("MASTER_KEY", "TELLWIRE_MASTER_KEY"),
        ("DELIVERY_ALLOW_CIDR", "TELLWIRE_DELIVERY_ALLOW_CIDRS"),
        ("RETENTION_DAYS", "TELLWIRE_RETENTION_DAYS"),
    ],
)
def test_a_setting_without_its_prefix_is_named(tmp_path: Path, variable: str, meant: str) -> None:
    loaded = read({variable: "a value"}, directory=tmp_path)
    assert [(each.variable, each.meant) for each in loaded.ignored] == [(variable, meant)]
    assert loaded.settings == Settings()


def test_every_setting_that_is_not_other_softwares_too_is_named_without_its_prefix(tmp_path: Path) -> None:
    generic = {"host", "port", "public_url", "allowed_hosts", "tracing"}
    for name in SETTINGS:
        value = "postgres://u@h/d" if name == "database_url" else "x"
        loaded = read({name.upper(): value}, directory=tmp_path)
        assert [each.meant for each in loaded.ignored] == ([] if name in generic else [variable_of(name)]), name


@pytest.mark.parametrize(
    "environ",
    [
        {"HOST": "box", "PORT": "80", "PATH": "/bin", "HOME": "/root", "TRACING": "1", "PUBLIC_URL": "x"},
        {"DATABASE_URL": "mysql://root@db/shop"},
        {"DATABASE_URL": " ", "META_APP_SECRET": ""},
        {"META_APP_SECRET": "one", "TELLWIRE_META_APP_SECRET": "two"},
        {"DATABASE_URL": "postgresql://u@h/d", "TELLWIRE_DATABASE_URL": "sqlite:///x.db"},
        {"MEDIA_ROOT": "/srv", "WHATSAPP_TOKEN": "x", "FACEBOOK_APP_ID": "1", "LC_ALL": "C", "RETRY": "3"},
        {"TELL": "x", "WIRE_PORT": "1", "X_PORT": "1", "KUBERNETES_PORT": "tcp://10.0.0.1:443", "TELLWIRE2_PORT": "1"},
    ],
)
def test_what_is_other_softwares_is_not_mentioned(tmp_path: Path, environ: dict[str, str]) -> None:
    assert read(environ, directory=tmp_path).ignored == ()


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("TELWIRE_META_APP_SECRET", "TELLWIRE_META_APP_SECRET"),
        ("TELLWRIE_PORT", "TELLWIRE_PORT"),
        ("TELLWIRES_HOST", "TELLWIRE_HOST"),
        ("TELLWIREMETA_APP_SECRET", "TELLWIRE_META_APP_SECRET"),
        ("tellwire_meta_app_secret", "TELLWIRE_META_APP_SECRET"),
        ("Tellwire_Admin_Key_File", "TELLWIRE_ADMIN_KEY_FILE"),
    ],
)
def test_a_misspelt_prefix_is_an_error(tmp_path: Path, variable: str, meant: str) -> None:
    with pytest.raises(BadSettings) as caught:
        read({variable: "hidden"}, directory=tmp_path)
    assert str(caught.value) == f"{variable} is not a setting; did you mean {meant}?"
