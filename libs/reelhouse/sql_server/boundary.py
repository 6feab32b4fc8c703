"""A process that can't write: Landlock, by which a process on Linux takes rights from itself and all that it starts, root included.

Landlock is part of Linux since 5.13 (https://docs.kernel.org/userspace-api/landlock.html). Times and permissions of files are not among
what it guards; contents and names are.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Sequence
from pathlib import Path

# The numbers are the same on all architectures of Linux that have these calls.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_ASK_VERSION, _PATH_BENEATH, _NO_NEW_PRIVILEGES = 1, 1, 38
_WRITE_FILE, _REMOVE_DIR, _REMOVE_FILE, _REFER, _TRUNCATE = 1 << 1, 1 << 4, 1 << 5, 1 << 13, 1 << 14
_MAKE = sum(1 << bit for bit in range(6, 13))  # devices, folders, files, sockets, pipes, links
_SOCKETS, _SIGNALS = 1 << 0, 1 << 1
_SCOPES = 6  # the version that has these two
_NEEDED = 3  # before that version a file could be cut off all the same


def forbid_writes(except_below: Sequence[Path]) -> str | None:
    """From here on this thread, those that it starts and all their processes change no file or folder but the given ones and what is below.

    Returns None where that holds, else why it can't be had here. There is no way back for a process. OSError where one of them is missing.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint(_ASK_VERSION)) if os.uname().sysname == "Linux" else -1
    if version < _NEEDED:
        return f"it wants Linux with Landlock, version {_NEEDED} or newer (kernel 6.2); here is {os.uname().sysname} {os.uname().release}"
    of_files = _WRITE_FILE | _TRUNCATE
    rights = of_files | _REMOVE_DIR | _REMOVE_FILE | _MAKE | _REFER
    # files, network (left alone), and from version 6 on signals and nameless sockets to processes outside: a daily run can't be ended
    attributes = struct.pack("=QQQ", rights, 0, _SOCKETS | _SIGNALS) if version >= _SCOPES else struct.pack("=Q", rights)
    ruleset = _checked(libc.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint(0)))
    try:
        for folder in except_below:
            place = os.open(folder, os.O_PATH | os.O_CLOEXEC)
            try:
                rule = struct.pack("=Qi", rights if folder.is_dir() else of_files, place)
                _checked(libc.syscall(_ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(_PATH_BENEATH), rule, ctypes.c_uint(0)))
            finally:
                os.close(place)
        _checked(libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0))
        _checked(libc.syscall(_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint(0)))
    finally:
        os.close(ruleset)
    return None


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
