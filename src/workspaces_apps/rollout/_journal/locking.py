"""Locks on files: one process at a time, let go of however that process ends."""

import os
import sys

if sys.platform == "win32":  # pragma: no cover - the checks run on POSIX
    import msvcrt

    # Beyond every byte that is ever written: a lock of Windows keeps others from reading what it covers.
    _FAR = 0x7FFF_0000

    def lock(descriptor: int, *, wait: bool = False) -> None:
        """Lock an open file for this descriptor alone.

        Args:
            descriptor: The file.
            wait: Wait for whoever holds the lock; on Windows ten seconds at most.

        Raises:
            OSError: Somebody else holds it.
        """
        position = os.lseek(descriptor, 0, os.SEEK_CUR)
        os.lseek(descriptor, _FAR, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
        finally:
            os.lseek(descriptor, position, os.SEEK_SET)

else:
    import fcntl

    def lock(descriptor: int, *, wait: bool = False) -> None:
        """Lock an open file for this descriptor alone.

        Args:
            descriptor: The file.
            wait: Wait for whoever holds the lock; on Windows ten seconds at most.

        Raises:
            OSError: Somebody else holds it.
        """
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
