"""The system calls that a party may make, as a filter in the kernel (seccomp(2), seccomp-BPF).

Invariants: what is not named here is not done. A call of which libraries make innocent use (opening a file, looking a
name up) fails with EPERM, so that they do without it or the session ends with a reason; a call that only a broken-in
party makes ends the process at once (SIGSYS), as does a call under another architecture's numbers. The filter takes
effect for every thread, and cannot be taken off.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct

# name: (x86_64, aarch64); None: the architecture has no such call (asm/unistd.h of either).
_ALLOWED: dict[str, tuple[int | None, int | None]] = {
    # Its pipes, its event loop, its clock.
    "read": (0, 63),
    "write": (1, 64),
    "readv": (19, 65),
    "writev": (20, 66),
    "epoll_wait": (232, None),
    "epoll_pwait": (281, 22),
    "epoll_pwait2": (441, 441),
    "epoll_ctl": (233, 21),
    "poll": (7, None),
    "ppoll": (271, 73),
    "recvfrom": (45, 207),  # the event loop's own socket pair; there is no other socket
    "close": (3, 57),
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "gettimeofday": (96, 169),
    "time": (201, None),
    "nanosleep": (35, 101),
    "clock_nanosleep": (230, 115),
    # Memory (the C library's realloc does without mremap), threads that run already, signals, randomness.
    "futex": (202, 98),
    "munmap": (11, 215),
    "brk": (12, 214),
    "madvise": (28, 233),
    "sched_yield": (24, 124),
    "sched_getaffinity": (204, 123),
    "getcpu": (309, 168),
    "membarrier": (324, 283),
    "rseq": (334, 293),
    "set_robust_list": (273, 99),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "sigaltstack": (131, 132),
    "restart_syscall": (219, 128),
    "getrandom": (318, 278),
    "getpid": (39, 172),
    "gettid": (186, 178),
    "getrusage": (98, 165),
    "times": (100, 153),
    "exit": (60, 93),
    "exit_group": (231, 94),
}
_MMAP, _MPROTECT, _IOCTL, _FCNTL = (9, 222), (10, 226), (16, 29), (72, 25)
_SENDTO, _PRLIMIT, _TGKILL, _CLONE3 = (44, 206), (302, 261), (234, 131), (435, 435)
_DEADLY: dict[str, tuple[int | None, int | None]] = {
    "execve": (59, 221),
    "execveat": (322, 281),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_getfd": (438, 438),
    "kcmp": (312, 272),
    "bpf": (321, 280),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "fsopen": (430, 430),
    "move_mount": (429, 429),
    "open_tree": (428, 428),
    "open_by_handle_at": (304, 265),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "personality": (135, 92),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "acct": (163, 89),
    "iopl": (172, None),
    "ioperm": (173, None),
    "modify_ldt": (154, None),
}
_COLUMN = {"x86_64": 0, "aarch64": 1}
_AUDIT_ARCH = (0xC000003E, 0xC00000B7)
_X32 = 0x40000000  # x86_64: numbers from here on are those of the x32 ABI
_MAP_SHARED, _MAP_GROWSDOWN = 0x01, 0x100
_PROT_EXEC, _FIONBIO, _F_GETFL, _F_SETFL = 4, 0x5421, 3, 4
_EPERM, _ENOSYS = 1, 38

# linux/seccomp.h, linux/bpf_common.h
_SYS_SECCOMP = (317, 277)
_SET_MODE_FILTER, _GET_ACTION_AVAIL, _FLAG_TSYNC = 1, 2, 1
_KILL, _ERRNO, _ALLOW = 0x80000000, 0x00050000, 0x7FFF0000
_LOAD, _EQUAL, _ANY_BIT, _FROM, _RETURN = 0x20, 0x15, 0x45, 0x35, 0x06
_NUMBER, _ARCH = 0, 4


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def available() -> bool:
    """Whether this kernel takes such a filter, and this machine's numbers are known."""
    if platform.machine() not in _COLUMN:
        return False
    call = _SYS_SECCOMP[_COLUMN[platform.machine()]]
    action = ctypes.c_uint32(_KILL)
    return int(ctypes.CDLL(None).syscall(call, _GET_ACTION_AVAIL, 0, ctypes.byref(action))) == 0


def install() -> bool:
    """Put the filter on every thread of this process; needs no_new_privs. False where the kernel does not take it."""
    if not available():
        return False
    column = _COLUMN[platform.machine()]
    code = assembled(column, os.getpid())
    program = _Program(len(code) // 8, code)
    done = ctypes.CDLL(None, use_errno=True).syscall(
        _SYS_SECCOMP[column], _SET_MODE_FILTER, _FLAG_TSYNC, ctypes.byref(program)
    )
    return int(done) == 0


def assembled(column: int, own_pid: int) -> bytes:
    """The filter for one architecture (0: x86_64, 1: aarch64), as the kernel takes it: 8 bytes per instruction."""
    out = [_step(_LOAD, _ARCH), _step(_EQUAL, _AUDIT_ARCH[column], 1, 0), _step(_RETURN, _KILL), _step(_LOAD, _NUMBER)]
    if column == 0:
        out += [_step(_FROM, _X32, 0, 1), _step(_RETURN, _KILL)]
    for number in _numbers(_ALLOWED, column):
        out += _when(number, [_step(_RETURN, _ALLOW)])
    # No memory that can be executed is made any more: all kernels are compiled. Nor any that RLIMIT_DATA does not
    # count: what is shared or grows like a stack. mremap(2), which would make the stack larger, is not in the list.
    out += _when(_MPROTECT[column], [*_none_of(2, _PROT_EXEC), _step(_RETURN, _ALLOW)])
    uncounted = _none_of(3, _MAP_SHARED | _MAP_GROWSDOWN)
    out += _when(_MMAP[column], [*_none_of(2, _PROT_EXEC), *uncounted, _step(_RETURN, _ALLOW)])
    out += _when(_IOCTL[column], _one_of(1, _FIONBIO))
    out += _when(_FCNTL[column], _one_of(1, _F_GETFL, _F_SETFL))
    out += _when(_PRLIMIT[column], _one_of(0, 0))  # its own limits, which only go down
    out += _when(_TGKILL[column], _one_of(0, own_pid))  # abort(3)
    out += _when(
        _SENDTO[column],  # to the other end of a pair, never to an address
        [
            _argument(4),
            _step(_EQUAL, 0, 1, 0),
            _step(_RETURN, _ERRNO | _EPERM),
            _argument(4, high=True),
            _step(_EQUAL, 0, 1, 0),
            _step(_RETURN, _ERRNO | _EPERM),
            _step(_RETURN, _ALLOW),
        ],
    )
    # The C library then tries clone, whose arguments would be visible; it is refused as everything else is.
    out += _when(_CLONE3[column], [_step(_RETURN, _ERRNO | _ENOSYS)])
    for number in _numbers(_DEADLY, column):
        out += _when(number, [_step(_RETURN, _KILL)])
    out.append(_step(_RETURN, _ERRNO | _EPERM))
    return b"".join(out)


def _numbers(calls: dict[str, tuple[int | None, int | None]], column: int) -> list[int]:
    return [number for pair in calls.values() if (number := pair[column]) is not None]


def _when(number: int, steps: list[bytes]) -> list[bytes]:
    """Steps (that return) for one system call; the accumulator holds its number before and after."""
    return [_step(_EQUAL, number, 0, len(steps)), *steps]


def _one_of(argument: int, *values: int) -> list[bytes]:
    checks = [step for value in values for step in (_step(_EQUAL, value, 0, 1), _step(_RETURN, _ALLOW))]
    return [_argument(argument), *checks, _step(_RETURN, _ERRNO | _EPERM)]


def _none_of(argument: int, bits: int) -> list[bytes]:
    """Goes on where none of these bits is set."""
    return [_argument(argument), _step(_ANY_BIT, bits, 0, 1), _step(_RETURN, _ERRNO | _EPERM)]


def _argument(index: int, *, high: bool = False) -> bytes:
    return _step(_LOAD, 16 + 8 * index + (4 if high else 0))  # struct seccomp_data, little-endian


def _step(code: int, value: int, jump: int = 0, other: int = 0) -> bytes:
    return struct.pack("=HBBI", code, jump, other, value)
