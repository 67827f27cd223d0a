"""Writing a file so that there is a whole one at any moment: the old or the new."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress

CANNOT_SYNC = {errno.EACCES, errno.EINVAL, errno.ENOTSUP, errno.EPERM}  # a folder, here


def write_atomically(path: str, data: bytes) -> None:
    """Put a file with `data` at `path`, in place of one that is there.

    The data go to a temporary file beside it, and to the disk, before that takes the name. A link
    stays, and what it points to is replaced; permissions are those of the old file, or those that
    a new one gets.

    Raises
    ------
    OSError
        If the data cannot be written: the old file is unchanged then. Where only the folder cannot
        be brought to the disk, the new one is in place; after a loss of power it may be either.
    """
    target = os.path.realpath(path)
    folder = os.path.dirname(target)
    if not os.path.isdir(folder):
        raise FileNotFoundError(
            errno.ENOENT, "there is no such folder; make it first, with os.makedirs(folder)", folder
        )
    temporary = os.path.join(folder, f".gradstep-{os.urandom(8).hex()}.tmp")
    permissions = permissions_of(target)
    try:
        with open(temporary, "xb") as file:
            if permissions is not None:
                os.chmod(temporary, permissions)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        with suppress(OSError):
            os.remove(temporary)
        raise
    sync_folder(folder)


def permissions_of(path: str) -> int | None:
    """Of a regular file; None where there is nothing."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(mode):
        raise OSError(f"{path} is not a regular file; give the path of a file, or a new one")
    return stat.S_IMODE(mode)


def sync_folder(folder: str) -> None:
    """Bring the new name to the disk. Windows, and some network file systems, have no way to."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in CANNOT_SYNC:
            raise
