"""Become another program that dies with its parent. Run as a script, by path: it imports nothing of the project.

    launcher.py PARENT_PID DEATH_SIGNAL USER PROGRAM [ARGUMENT ...]

The steps are done here, in a process of their own, since a function between fork and exec is not safe in a parent with
threads. USER is `user id:group id`, or `-` to stay what we are.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def main(parent: int, death_signal: int, user: str, program: list[str]) -> None:
    os.setsid()
    if user != "-":
        user_id, group_id = map(int, user.split(":"))
        os.setgroups([])
        os.setgid(group_id)
        os.setuid(user_id)
    # Only now: the kernel forgets the signal when the user changes.
    if sys.platform == "linux" and ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent:  # it died in between
        raise SystemExit(1)
    os.execv(program[0], program)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:])
