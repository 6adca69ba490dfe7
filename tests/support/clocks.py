"""Run a module with a clock that is wrong: `python -m tests.support.clocks -3600 services.content api`.

What is moved is what the operating system tells this process alone: the first bytes of the C library's `clock_gettime`
are replaced in its memory by a system call that adds the seconds to CLOCK_REALTIME. So everything is wrong alike,
Python's `datetime` and `time`, and the libraries in C and Rust; the monotonic clock stays as it is.
"""

import ctypes
import mmap
import platform
import runpy
import sys

_READ_WRITE_EXECUTE = 7
_PAGE = mmap.PAGESIZE


def movable() -> bool:
    """Whether this is a machine whose code is known here."""
    return sys.platform == "linux" and platform.machine() == "x86_64"


def move_clock(seconds: int) -> None:
    """Move the clock of this process, from now on, by so many seconds from the true time.

    Raises:
        OSError: the memory cannot be changed.
    """
    code = (
        b"\xb8\xe4\x00\x00\x00"  # mov eax, 228      clock_gettime(edi: which clock, rsi: where to put it)
        b"\x0f\x05"  # syscall
        b"\x85\xff"  # test edi, edi
        b"\x75\x07"  # jnz over the next: not CLOCK_REALTIME
        b"\x48\x81\x06" + seconds.to_bytes(4, "little", signed=True) + b"\xc3"  # add qword [rsi], seconds; ret
    )
    library = ctypes.CDLL(None, use_errno=True)
    address = ctypes.cast(library.clock_gettime, ctypes.c_void_p).value
    assert address is not None
    page = address & -_PAGE
    if library.mprotect(ctypes.c_void_p(page), ctypes.c_size_t(2 * _PAGE), _READ_WRITE_EXECUTE):
        raise OSError(ctypes.get_errno(), "the code of clock_gettime cannot be made writable")
    ctypes.memmove(address, code, len(code))


def main() -> None:
    seconds, module, *arguments = sys.argv[1:]
    move_clock(int(seconds))
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
