"""A seccomp filter without network, programs, processes and file writes; made here, needs no library.

The filter names what is forbidden. Everything else stays allowed, since Python and the parsers change their calls
between versions; a filter of allowed calls would kill them at the first update of the C library.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from dataclasses import dataclass
from errno import ENOSYS, EPERM
from typing import Final

# linux/filter.h, linux/seccomp.h, linux/audit.h
_LOAD: Final = 0x20  # BPF_LD | BPF_W | BPF_ABS
_EQUALS: Final = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_AT_LEAST: Final = 0x35  # BPF_JMP | BPF_JGE | BPF_K
_ANY_BIT: Final = 0x45  # BPF_JMP | BPF_JSET | BPF_K
_RETURN: Final = 0x06
_ALLOW: Final = 0x7FFF0000
_KILL: Final = 0x80000000
_ERRNO: Final = 0x00050000
_NUMBER, _ARCH, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data
_X32_BIT: Final = 0x40000000

_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_SET_SECCOMP: Final = 22
_SECCOMP_MODE_FILTER: Final = 2

_CLONE_THREAD: Final = 0x00010000
_WRITES: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


@dataclass(frozen=True, kw_only=True)
class _Machine:
    """Numbers of system calls on one kind of processor."""

    audit_arch: int
    denied: tuple[int, ...]
    clone: int
    open: int | None
    openat: int
    prlimit64: int


# The same everywhere: pidfd_send_signal, io_uring_setup, io_uring_enter, io_uring_register, open_tree, move_mount,
# fsopen, fsconfig, fsmount, fspick, pidfd_open, pidfd_getfd, mount_setattr.
_DENIED_EVERYWHERE: Final = (424, 425, 426, 427, 428, 429, 430, 431, 432, 433, 434, 438, 442)
_NOT_THERE: Final = (435, 437)  # clone3, openat2: their arguments cannot be looked at; callers fall back

_MACHINES: Final = {
    "x86_64": _Machine(
        audit_arch=0xC000003E,
        # network: socket connect accept bind listen socketpair accept4
        # programs and processes: fork vfork execve execveat ptrace kill tkill rt_sigqueueinfo rt_tgsigqueueinfo
        # files: truncate rename mkdir rmdir creat link unlink symlink chmod fchmod chown fchown lchown mknod setxattr
        # system: mounts, modules, namespaces, keys, clocks, limits, other processes' memory, bpf, perf, System V IPC
        denied=(
            *(41, 42, 43, 49, 50, 53, 288),
            *(57, 58, 59, 322, 101, 62, 200, 129, 297),
            *(76, 82, 83, 84, 85, 86, 87, 88, 90, 91, 92, 93, 94, 133),
            *(258, 259, 260, 263, 264, 265, 266, 268, 316, 188, 189, 190, 452),
            *(155, 159, 160, 161, 163, 164, 165, 166, 167, 168, 169, 170, 171, 172, 173, 175, 176, 179, 135),
            *(227, 246, 248, 249, 250, 272, 298, 300, 303, 304, 305, 308, 310, 311, 312, 313, 320, 321, 323),
            *(29, 64, 68, 240),
        ),
        clone=56,
        open=2,
        openat=257,
        prlimit64=302,
    ),
    "aarch64": _Machine(
        audit_arch=0xC00000B7,
        denied=(
            *(198, 199, 200, 201, 202, 203, 242),
            *(117, 129, 130, 138, 221, 240, 281),
            *(5, 6, 7, 33, 34, 35, 36, 37, 38, 45, 52, 53, 54, 55, 276, 452),
            *(39, 40, 41, 51, 60, 89, 92, 97, 104, 105, 106, 112, 142, 161, 162, 164, 170, 171),
            *(217, 218, 219, 224, 225, 241, 262, 264, 265, 266, 268, 270, 271, 272, 273, 280, 282, 294),
            *(180, 186, 190, 194),
        ),
        clone=220,
        open=None,
        openat=56,
        prlimit64=261,
    ),
}


class _Program(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def supported() -> bool:
    """Answers whether this kernel and processor can be given the filter."""
    return platform.machine() in _MACHINES and os.path.exists("/proc/sys/kernel/seccomp/actions_avail")


def apply() -> None:
    """Puts the filter on this process, for good; OSError if the kernel refuses."""
    program = _program(_MACHINES[platform.machine()])
    buffer = ctypes.create_string_buffer(program, len(program))
    libc = ctypes.CDLL(None, use_errno=True)
    _checked(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    filter_ = _Program(len(program) // 8, ctypes.cast(buffer, ctypes.c_void_p))
    _checked(libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(filter_), 0, 0))


def _checked(result: int) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _program(machine: _Machine) -> bytes:
    steps = [
        _step(_LOAD, _ARCH),
        _step(_EQUALS, machine.audit_arch, 1, 0),
        _step(_RETURN, _KILL),
        _step(_LOAD, _NUMBER),
        _step(_AT_LEAST, _X32_BIT, 0, 1),
        _step(_RETURN, _ERRNO | EPERM),
    ]
    for number in (*machine.denied, *_DENIED_EVERYWHERE):
        steps += [_step(_EQUALS, number, 0, 1), _step(_RETURN, _ERRNO | EPERM)]
    for number in _NOT_THERE:
        steps += [_step(_EQUALS, number, 0, 1), _step(_RETURN, _ERRNO | ENOSYS)]
    steps += _unless_bits(machine.openat, argument=2, bits=_WRITES)
    if machine.open is not None:
        steps += _unless_bits(machine.open, argument=1, bits=_WRITES)
    steps += _only_threads(machine.clone)
    steps += _only_asking(machine.prlimit64)
    steps.append(_step(_RETURN, _ALLOW))
    return b"".join(steps)


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def _unless_bits(number: int, *, argument: int, bits: int) -> list[bytes]:
    """Forbids a call if its argument has one of the bits."""
    return [
        _step(_EQUALS, number, 0, 4),
        _step(_LOAD, _ARGUMENTS + 8 * argument),
        _step(_ANY_BIT, bits, 0, 1),
        _step(_RETURN, _ERRNO | EPERM),
        _step(_RETURN, _ALLOW),
    ]


def _only_threads(number: int) -> list[bytes]:
    """Forbids clone unless it makes a thread."""
    return [
        _step(_EQUALS, number, 0, 4),
        _step(_LOAD, _ARGUMENTS),
        _step(_ANY_BIT, _CLONE_THREAD, 1, 0),
        _step(_RETURN, _ERRNO | EPERM),
        _step(_RETURN, _ALLOW),
    ]


def _only_asking(number: int) -> list[bytes]:
    """Forbids prlimit64 if it names new limits, whose pointer is the third argument."""
    return [
        _step(_EQUALS, number, 0, 6),
        _step(_LOAD, _ARGUMENTS + 16),
        _step(_EQUALS, 0, 0, 3),
        _step(_LOAD, _ARGUMENTS + 20),
        _step(_EQUALS, 0, 0, 1),
        _step(_RETURN, _ALLOW),
        _step(_RETURN, _ERRNO | EPERM),
    ]
