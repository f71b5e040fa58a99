"""PURE. The checks of the server's own figures: what can be wrong, with the remedies."""

from __future__ import annotations

from collections.abc import Mapping

from tellwire.doctor.check import Check, Fault

SERVER: Mapping[str, Check] = {
    "database": Check(
        "The database is fit to be relied on.",
        {
            "network": Fault(
                "broken",
                "Move the database to a disk of this machine: SQLite's locks do not hold on "
                "network file systems. Or use PostgreSQL (docs/how-to/postgresql.md).",
            ),
            "journal": Fault(
                "broken",
                "Stop whatever else opens the database, and start the server again: it sets "
                "the journal to WAL by itself where the file system can do it.",
            ),
            "old": Fault("warning", "Upgrade the database software."),
            "unread": Fault("broken", "Bring the database back; the cause says what it answers."),
        },
    ),
    "database_clock": Check(
        "The clocks of the server and of the database agree.",
        {
            "differ": Fault(
                "warning", "Keep the clocks of both machines right (NTP).", "sudo timedatectl set-ntp true"
            ),
        },
    ),
    "descriptors": Check(
        "The process may open enough files.",
        {
            "few": Fault(
                "warning", "Raise the limit of open files: `ulimit -n`, or LimitNOFILE in systemd.", "ulimit -n 65536"
            ),
        },
    ),
    "models": Check(
        "The models of AI agents can be reached.",
        {
            "unreached": Fault(
                "broken",
                "Start the model's server, or correct the agent's base_url; a private "
                "address needs TELLWIRE_MODEL_ALLOW_CIDRS.",
            ),
        },
    ),
    "quotas": Check(
        "No organization is near a quota.",
        {
            "near": Fault("warning", "Remove what is no longer used, or raise the quota's setting."),
        },
    ),
    "commits": Check("The database takes commits.", {}),
    "disk": Check("The disks have room.", {}),
    "clock": Check("The server's clock agrees with Meta's.", {}),
    "refused": Check("Nothing of Meta's was refused lately.", {}),
    "unrouted": Check("No messages wait for an account.", {}),
    "silent": Check("No number has fallen silent.", {}),
    "accounts": Check("Meta reports no problem of an account.", {}),
    "endpoints": Check("Webhook endpoints take their deliveries.", {}),
    "alerts": Check("Alerts are told through every channel that is set.", {}),
}
"""What the server knows of itself; checks without faults here tell what the verdict says (docs/how-to/operate.md)."""
