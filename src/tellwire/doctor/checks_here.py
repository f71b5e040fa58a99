"""PURE. The checks of the machine that a command runs on: what can be wrong, with the remedies."""

from __future__ import annotations

from collections.abc import Mapping

from tellwire.doctor.check import Check, Fault

HERE: Mapping[str, Check] = {
    "settings": Check(
        "The settings here can be read.",
        {
            "unreadable": Fault(
                "broken",
                "Correct what the cause names; every setting with what it takes is listed in "
                "docs/reference/settings.md.",
                "tellwire config --reference",
            ),
        },
    ),
    "setting_names": Check(
        "No variable is nearly a setting.",
        {
            "near_miss": Fault(
                "warning", "Rename the variable if it is meant for Tellwire; nothing reads it now.", "tellwire config"
            ),
        },
    ),
    "server": Check(
        "A server runs and answers.",
        {
            "none": Fault(
                "broken", "Start the server, or name another one with --url and --key or --profile.", "tellwire serve"
            ),
            "not_operator": Fault(
                "unknown",
                "Use an operator's key: only who runs the installation sees the checks of the server.",
                "tellwire keys create --name doctor --operator",
            ),
            "host_refused": Fault(
                "broken",
                "Add the host of the server's URL (127.0.0.1 for commands on its machine) to TELLWIRE_ALLOWED_HOSTS, "
                "and start it again.",
            ),
            "too_old": Fault("unknown", "Upgrade the server: it has no checks of its own.", "tellwire --version"),
        },
    ),
    "versions": Check(
        "The command line and the server are of one version.",
        {
            "differ": Fault(
                "warning",
                "Bring both to one version, the newer one: `pip install --upgrade tellwire`.",
                "tellwire --version",
            ),
        },
    ),
    "clock_here": Check(
        "The clocks of this machine and of the server agree.",
        {
            "differ": Fault(
                "warning", "Set the clock that is wrong and keep it right (NTP).", "sudo timedatectl set-ntp true"
            ),
        },
    ),
    "buffering": Check(
        "Event streams pass the proxy at once.",
        {
            "held_back": Fault(
                "warning",
                "Turn buffering off in the proxy for /v1/events/stream (nginx: "
                "`proxy_buffering off`), and let it read for longer than 30 s.",
            ),
        },
    ),
    "database_file": Check(
        "The database of the settings is there.",
        {
            "missing": Fault(
                "warning",
                "Start the server, which makes it, or name the right one in TELLWIRE_DATABASE_URL.",
                "tellwire config",
            ),
            "unreadable": Fault(
                "broken", "Run the command as the user that the server runs as, or mend the file's permissions."
            ),
            "damaged": Fault(
                "broken",
                "Stop the server, keep a copy of the file, and restore a backup; `sqlite3 FILE "
                "'PRAGMA integrity_check'` says what is damaged.",
            ),
            "network": Fault(
                "broken",
                "Move the database to a disk of this machine: SQLite's locks do not hold on "
                "network file systems. Or use PostgreSQL.",
            ),
        },
    ),
    "schema": Check(
        "The database has this version's schema.",
        {
            "older": Fault("warning", "Migrate it; `tellwire serve` does so by itself on SQLite.", "tellwire migrate"),
            "newer": Fault(
                "broken", "Install the version that made it, or a newer one.", "pip install --upgrade tellwire"
            ),
        },
    ),
    "master_key": Check(
        "Only the owner may read the file of the master key.",
        {
            "open": Fault(
                "broken",
                "Take the permissions of others away; whoever has read the key may have to be "
                "answered with a new one (docs/how-to/change-the-master-key.md).",
                "chmod 600 {path}",
            ),
            "missing": Fault(
                "broken",
                "Put back the key file that was made with the database, or set "
                "TELLWIRE_MASTER_KEY: without it no sealed secret opens.",
            ),
        },
    ),
    "secret_files": Check(
        "Only the owner may read the settings file.",
        {
            "open": Fault(
                "warning", "Take the permissions of others away: the file holds secrets.", "chmod 600 {path}"
            ),
        },
    ),
    "extras": Check(
        "What the settings ask for is installed.",
        {
            "missing": Fault("broken", "Install the extra that the cause names.", "pip install 'tellwire[{extra}]'"),
        },
    ),
}
"""What the command checks on the machine that it runs on."""
