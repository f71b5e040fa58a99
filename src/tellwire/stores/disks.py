"""How full the file systems are that we write to."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

from tellwire.verdict.figures import Disk


class FileSystems:
    """The file systems of some folders.

    Args:
        folders: what is kept where; a folder that does not exist yet is on its parent's file system.
    """

    def __init__(self, folders: Sequence[tuple[str, Path]]) -> None:
        self._folders = folders

    async def usage(self) -> Sequence[Disk]:
        """Return how full each is, those that share one together; one that cannot be asked is left out."""
        return await asyncio.to_thread(self._usage)

    def _usage(self) -> Sequence[Disk]:
        found: dict[int, Disk] = {}
        for holds, folder in self._folders:
            place = next((each for each in (folder, *folder.parents) if each.exists()), folder)
            try:
                device, space = place.stat().st_dev, os.statvfs(place)
            except OSError:
                continue
            if known := found.get(device):
                found[device] = Disk(f"{known.holds} and {holds}", known.place, known.total, known.free)
            else:
                total, free = space.f_blocks * space.f_frsize, space.f_bavail * space.f_frsize
                found[device] = Disk(holds, str(place), total, free)
        return list(found.values())


def file_system_of(path: Path, mounts: Path = Path("/proc/mounts")) -> str:
    """Return the kind of file system that a file lies on (`ext4`, `nfs4`), "" where the system does not say."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
        place = path.resolve()
    except OSError:
        return ""
    found, longest = "", -1
    for line in lines:
        fields = line.split()
        if len(fields) < 3:
            continue
        mounted = Path(fields[1].replace("\\040", " "))
        if place.is_relative_to(mounted) and len(mounted.parts) > longest:
            found, longest = fields[2], len(mounted.parts)
    return found
