"""PURE. The unit that runs `tellwire serve` under systemd, and the steps that put it in force."""

from __future__ import annotations

import re

from msgspec import Struct

STATE = "/var/lib/tellwire"
_HOMES = ("/home/", "/root/")
_PLAIN = re.compile(r"[\w@%+=:,./-]+")

_UNIT = """\
[Unit]
Description=Tellwire: a webhook platform for WhatsApp Business{part}
Wants=network-online.target
After=network-online.target postgresql.service

[Service]
Type=exec
User={user}
ExecStart={command}
EnvironmentFile=-{environment_file}
Environment=HOME={state}
WorkingDirectory={state}
StateDirectory=tellwire
StateDirectoryMode=0700
UMask=0077
Restart=on-failure
RestartSec=2
# What is under way gets 8 s at most.
TimeoutStopSec=20
LimitNOFILE=65536

# Nothing but its state folder can be written, and nothing of the system can be changed.
NoNewPrivileges=yes
CapabilityBoundingSet=
ProtectSystem=strict
ProtectHome={homes}
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
RemoveIPC=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
"""


class Unit(Struct, frozen=True, kw_only=True):
    """What a unit says.

    Args:
        program: the command line `tellwire` and its first arguments, with absolute paths.
        user: the account of the system.
        role: of `serve`.
        environment_file: where the settings are.
    """

    program: tuple[str, ...]
    user: str
    role: str
    environment_file: str

    @property
    def name(self) -> str:
        """Return the unit's file name."""
        return "tellwire.service" if self.role == "all" else f"tellwire-{self.role}.service"

    @property
    def in_a_home(self) -> bool:
        """Return whether the program is in somebody's home folder."""
        return self.program[0].startswith(_HOMES)


def unit_text(unit: Unit) -> str:
    """Return the unit as systemd reads it."""
    roles = () if unit.role == "all" else ("--role", unit.role)
    return _UNIT.format(
        part="" if unit.role == "all" else f", the part that is called {unit.role}",
        user=unit.user,
        command=" ".join(map(_quoted, (*unit.program, "serve", *roles))),
        environment_file=unit.environment_file.replace("%", "%%"),
        state=STATE,
        homes="read-only" if unit.in_a_home else "yes",
    )


def steps(unit: Unit) -> list[str]:
    """Return what to do with the unit, a line each."""
    folder = unit.environment_file.rpartition("/")[0] or "/"
    told = [
        f"Save this as /etc/systemd/system/{unit.name}, then as root:",
        f"  useradd --system --home-dir {STATE} --shell /usr/sbin/nologin {unit.user}",
        f"  install -d -m 0750 {folder} && install -m 0600 /dev/null {unit.environment_file}",
        f"  put the settings into {unit.environment_file}, a line TELLWIRE_X=value each",
        f"  systemctl daemon-reload && systemctl enable --now {unit.name}",
        f"  {' '.join(unit.program)} ready --wait 30 && journalctl -u {unit.name}",
    ]
    if unit.in_a_home:
        told.append(
            f"{unit.program[0]} is in a home folder, which {unit.user} can probably not read: install Tellwire in a "
            "folder of its own, such as /opt/tellwire, and print the unit from there."
        )
    return told


def _quoted(word: str) -> str:
    """Return a word of a command line as systemd reads it (systemd.service(5), "Command lines")."""
    escaped = word.replace("%", "%%").replace("$", "$$")
    if _PLAIN.fullmatch(word):
        return escaped
    inside = escaped.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{inside}"'
