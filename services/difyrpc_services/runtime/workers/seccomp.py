"""Seccomp filters without network, programs, processes and file writes; made here, need no library.

A filter names what is forbidden. Everything else stays allowed, since Python and the parsers change their calls
between versions; a filter of allowed calls would kill them at the first update of the C library.

Three profiles: a worker may start nothing. A launcher may fork, and become another program if it shows a cookie, a
random number in an argument that the kernel ignores and the filter compares. A program that it started may do neither:
filters add up, and the cookie went with the memory that the program replaced.
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
_CLONE_NAMESPACES: Final = 0x7E020000  # linux/sched.h, CLONE_NEWNS to CLONE_NEWNET
_WRITES: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


@dataclass(frozen=True, kw_only=True)
class _Machine:
    """Numbers of system calls on one kind of processor."""

    audit_arch: int
    denied: tuple[int, ...]
    forks: tuple[int, ...]
    execve: int
    clone: int
    open: int | None
    openat: int
    setrlimit: int
    prlimit64: int


# The same everywhere: pidfd_send_signal, io_uring_setup, io_uring_enter, io_uring_register, open_tree, move_mount,
# fsopen, fsconfig, fsmount, fspick, pidfd_open, pidfd_getfd, mount_setattr.
_DENIED_EVERYWHERE: Final = (424, 425, 426, 427, 428, 429, 430, 431, 432, 433, 434, 438, 442)
_NOT_THERE: Final = (435, 437)  # clone3, openat2: their arguments cannot be looked at; callers fall back

_MACHINES: Final = {
    "x86_64": _Machine(
        audit_arch=0xC000003E,
        # network: socket connect accept bind listen socketpair accept4
        # programs and processes: execveat ptrace kill tkill rt_sigqueueinfo rt_tgsigqueueinfo
        # files: truncate rename mkdir rmdir creat link unlink symlink chmod fchmod chown fchown lchown mknod setxattr
        # system: mounts, modules, namespaces, keys, clocks, limits, other processes' memory, bpf, perf, System V IPC
        denied=(
            *(41, 42, 43, 49, 50, 53, 288),
            *(322, 101, 62, 200, 129, 297),
            *(76, 82, 83, 84, 85, 86, 87, 88, 90, 91, 92, 93, 94, 133),
            *(258, 259, 260, 263, 264, 265, 266, 268, 316, 188, 189, 190, 452),
            *(155, 159, 161, 163, 164, 165, 166, 167, 168, 169, 170, 171, 172, 173, 175, 176, 179, 135),
            *(227, 246, 248, 249, 250, 272, 298, 300, 303, 304, 305, 308, 310, 311, 312, 313, 320, 321, 323),
            *(29, 64, 68, 240),
        ),
        forks=(57, 58),
        execve=59,
        clone=56,
        open=2,
        openat=257,
        setrlimit=160,
        prlimit64=302,
    ),
    "aarch64": _Machine(
        audit_arch=0xC00000B7,
        denied=(
            *(198, 199, 200, 201, 202, 203, 242),
            *(117, 129, 130, 138, 240, 281),
            *(5, 6, 7, 33, 34, 35, 36, 37, 38, 45, 52, 53, 54, 55, 276, 452),
            *(39, 40, 41, 51, 60, 89, 92, 97, 104, 105, 106, 112, 142, 161, 162, 170, 171),
            *(217, 218, 219, 224, 225, 241, 262, 264, 265, 266, 268, 270, 271, 272, 273, 280, 282, 294),
            *(180, 186, 190, 194),
        ),
        forks=(),
        execve=221,
        clone=220,
        open=None,
        openat=56,
        setrlimit=164,
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
    """Puts a worker's filter on this process, for good; OSError if the kernel refuses."""
    machine = _MACHINES[platform.machine()]
    _install(_program(machine, [*_nothing_new(machine), *_denied(machine.execve), *_no_limits(machine)]))


def apply_launcher(cookie: int) -> None:
    """Puts a launcher's filter on this process: it may fork, lower limits, and `execute` with the cookie."""
    machine = _MACHINES[platform.machine()]
    _install(_program(machine, [*_no_namespaces(machine.clone), *_only_with(machine.execve, cookie)]))


def apply_program() -> None:
    """Puts what a program must not have beside the launcher's filter on this process, before it becomes it."""
    machine = _MACHINES[platform.machine()]
    _install(_program(machine, [*_nothing_new(machine), *_no_limits(machine)]))


def execute(path: str, arguments: list[str], environment: dict[str, str], cookie: int) -> None:
    """Becomes another program, showing the cookie; comes back with an OSError alone."""
    libc = ctypes.CDLL(None, use_errno=True)
    vector = ctypes.c_char_p * (len(arguments) + 1)
    settings = [f"{name}={value}".encode() for name, value in environment.items()]
    libc.syscall(
        ctypes.c_long(_MACHINES[platform.machine()].execve),
        ctypes.c_char_p(path.encode()),
        vector(*(argument.encode() for argument in arguments), None),
        (ctypes.c_char_p * (len(settings) + 1))(*settings, None),
        ctypes.c_long(0),
        ctypes.c_long(0),
        ctypes.c_ulong(cookie),
    )
    _checked(-1)


def _install(program: bytes) -> None:
    buffer = ctypes.create_string_buffer(program, len(program))
    libc = ctypes.CDLL(None, use_errno=True)
    _checked(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    filter_ = _Program(len(program) // 8, ctypes.cast(buffer, ctypes.c_void_p))
    _checked(libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(filter_), 0, 0))


def _checked(result: int) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _program(machine: _Machine, rules: list[bytes]) -> bytes:
    """Answers a filter of what is never allowed and of `rules`."""
    steps = [
        _step(_LOAD, _ARCH),
        _step(_EQUALS, machine.audit_arch, 1, 0),
        _step(_RETURN, _KILL),
        _step(_LOAD, _NUMBER),
        _step(_AT_LEAST, _X32_BIT, 0, 1),
        _step(_RETURN, _ERRNO | EPERM),
        *_denied(*machine.denied, *_DENIED_EVERYWHERE),
        *_denied(*_NOT_THERE, error=ENOSYS),
        *rules,
        *_unless_bits(machine.openat, argument=2, bits=_WRITES),
    ]
    if machine.open is not None:
        steps += _unless_bits(machine.open, argument=1, bits=_WRITES)
    steps.append(_step(_RETURN, _ALLOW))
    return b"".join(steps)


def _nothing_new(machine: _Machine) -> list[bytes]:
    """Forbids new processes."""
    return [*_denied(*machine.forks), *_only_threads(machine.clone)]


def _no_limits(machine: _Machine) -> list[bytes]:
    """Forbids new limits."""
    return [*_denied(machine.setrlimit), *_only_asking(machine.prlimit64)]


def _denied(*numbers: int, error: int = EPERM) -> list[bytes]:
    return [step for number in numbers for step in (_step(_EQUALS, number, 0, 1), _step(_RETURN, _ERRNO | error))]


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


def _no_namespaces(number: int) -> list[bytes]:
    """Forbids clone if it makes a namespace."""
    return _unless_bits(number, argument=0, bits=_CLONE_NAMESPACES)


def _only_with(number: int, cookie: int) -> list[bytes]:
    """Forbids a call unless its sixth argument, which the kernel does not look at, is the cookie."""
    return [
        _step(_EQUALS, number, 0, 6),
        _step(_LOAD, _ARGUMENTS + 40),
        _step(_EQUALS, cookie & 0xFFFFFFFF, 0, 3),
        _step(_LOAD, _ARGUMENTS + 44),
        _step(_EQUALS, cookie >> 32, 0, 1),
        _step(_RETURN, _ALLOW),
        _step(_RETURN, _ERRNO | EPERM),
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
