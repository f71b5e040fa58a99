"""Which kind of file system a file lies on, by the system's list of mounts."""

from __future__ import annotations

from pathlib import Path

from tellwire.stores.disks import file_system_of

MOUNTS = """/dev/sda1 / ext4 rw 0 0
server:/export /srv nfs4 rw 0 0
/dev/sdb1 /srv/local\\040disk xfs rw 0 0
damaged
"""


def test_the_nearest_mount_counts(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(MOUNTS)
    assert file_system_of(Path("/srv/tellwire.db"), mounts) == "nfs4"
    assert file_system_of(Path("/srv/local disk/tellwire.db"), mounts) == "xfs"
    assert file_system_of(Path("/srvother/tellwire.db"), mounts) == "ext4"
    assert file_system_of(Path("/srv/tellwire.db"), tmp_path / "none") == ""
