"""The sandbox of Dify's Code node around this process: its folder, its seccomp filter, its user.

From langgenius/dify-sandbox (June 2026): `prescript.py` loads its library by ctypes, changes into a root folder that
holds copies of Python, of the C library and of a few files of /etc, installs the filter, gives up root, and runs the
code that the node's author wrote; so what that code imports is imported under the filter.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys
from collections.abc import Iterable

# internal/static/python_syscall/syscalls_amd64.go: ALLOW_SYSCALLS, then ALLOW_NETWORK_SYSCALLS where the network is on.
ALLOWED = """
newfstatat 262 fstat 5 fcntl 72 ioctl 16 lseek 8 getdents64 217 write 1 close 3 openat 257 read 0
futex 202 sched_getaffinity 204
mmap 9 brk 12 mprotect 10 munmap 11 rt_sigreturn 15 mremap 25 madvise 28
setgroups 116 setgid 106 setuid 105 getuid 102
getpid 39 getppid 110 gettid 186 exit 60 exit_group 231 tgkill 234 rt_sigaction 13 sched_yield 24
set_robust_list 273 get_robust_list 274 rseq 334
clock_gettime 228 gettimeofday 96 nanosleep 35 epoll_create1 291 epoll_ctl 233 clock_nanosleep 230 pselect6 270 time 201
rt_sigprocmask 14 sigaltstack 131 getrandom 318 eventfd2 290
"""
ALLOWED_WITH_NETWORK = """
socket 41 connect 42 bind 49 listen 50 accept 43 sendto 44 recvfrom 45
getsockname 51 recvmsg 47 getpeername 52 setsockopt 54 ppoll 271 uname 63
sendmsg 46 sendmmsg 307 getsockopt 55 fstatfs 138 poll 7 epoll_pwait 281
"""
# ALLOW_ERROR_SYSCALLS: their action is ActErrno without a number, so they answer 0 and do nothing.
DONE_BY_NOBODY = "clone 56 mkdirat 258 mkdir 83"
# Everything else: the process is killed (ActKillProcess).

SANDBOX_USER = 65537
FILES = ("/etc/ssl/certs", "/etc/nsswitch.conf", "/etc/hosts", "/etc/resolv.conf", "/etc/localtime")
LIBRARIES = ("/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64")

_AUDIT_ARCH_X86_64 = 0xC000003E
_LOAD, _EQUALS, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06  # linux/bpf_common.h
_KILL_PROCESS, _ERRNO_0, _ALLOW = 0x80000000, 0x00050000, 0x7FFF0000  # linux/seccomp.h
_X32_BIT = 0x40000000
_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _FILTER_MODE = 38, 22, 2
_CLONE_NEWNS, _MS_BIND, _MS_REC, _MS_PRIVATE = 0x20000, 0x1000, 0x4000, 0x40000

_libc = ctypes.CDLL(None, use_errno=True)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_void_p))


def known_machine() -> bool:
    return sys.platform == "linux" and platform.machine() == "x86_64"


def may_change_root() -> bool:
    return os.geteuid() == 0 and os.system("unshare --mount true 2>/dev/null") == 0


def change_root(root: str, more: Iterable[str]) -> None:
    """Makes `root` this process's root: Python, the libraries and `more` under their own paths, and nothing else."""
    _checked(_libc.unshare(_CLONE_NEWNS))
    _checked(_libc.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None))
    for path in dict.fromkeys((*LIBRARIES, *FILES, sys.base_prefix, sys.prefix, *more)):
        if os.path.exists(path):
            _show(path, root + path)
    os.chroot(root)
    os.chdir("/")


def _show(path: str, here: str) -> None:
    if os.path.isdir(path):
        os.makedirs(here, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(here), exist_ok=True)
        open(here, "w").close()
    _checked(_libc.mount(path.encode(), here.encode(), None, _MS_BIND | _MS_REC, None))


def install_filter() -> None:
    """Kills this process at every system call that is not on the list, from now on."""
    program = b"".join(
        [
            _step(_LOAD, 4),
            _step(_EQUALS, _AUDIT_ARCH_X86_64, 1, 0),
            _step(_RETURN, _KILL_PROCESS),
            _step(_LOAD, 0),
            _step(_AT_LEAST, _X32_BIT, 0, 1),
            _step(_RETURN, _KILL_PROCESS),
            *_answers(ALLOWED + ALLOWED_WITH_NETWORK, _ALLOW),
            *_answers(DONE_BY_NOBODY, _ERRNO_0),
            _step(_RETURN, _KILL_PROCESS),
        ]
    )
    buffer = ctypes.create_string_buffer(program, len(program))
    steps = _Program(len(program) // 8, ctypes.cast(buffer, ctypes.c_void_p))
    _checked(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    _checked(_libc.prctl(_PR_SET_SECCOMP, _FILTER_MODE, ctypes.byref(steps), 0, 0))


def give_up_root() -> None:
    """Becomes the sandbox's user; under the filter, as the sandbox does it."""
    _checked(_libc.setgroups(0, None))
    _checked(_libc.setgid(SANDBOX_USER))
    _checked(_libc.setuid(SANDBOX_USER))


def _answers(calls: str, action: int) -> list[bytes]:
    numbers = map(int, calls.split()[1::2])
    return [step for number in numbers for step in (_step(_EQUALS, number, 0, 1), _step(_RETURN, action))]


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def _checked(result: int) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
