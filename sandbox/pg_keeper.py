"""A process that cannot outlive its owner, however the owner ends.

The program runs below a small shell that reads a pipe of which we alone hold the other end. The kernel closes that end
when we end, SIGKILL included; the shell then stops the program at once and removes its temporary folder.
"""

from __future__ import annotations

import os
import signal
import subprocess
import weakref
from contextlib import suppress
from pathlib import Path
from typing import Literal

from sandbox.pg_account import Account

Word = Literal["INT", "QUIT"]

# $1 is the folder to remove when the owner is gone, the rest is the program. Words on the pipe are signals for the
# program. The shell ignores the terminal's signals: what they mean is the owner's decision. SIGQUIT is repeated because
# the program may not have installed its handler yet; the shell, not the watcher, waits for the program's end and
# removes the folder after it.
_SCRIPT = """
trap '' HUP INT TERM
doomed=$1; shift
exec 3<&0 </dev/null
"$@" 3<&- &
program=$!
(
  while read -r word <&3; do kill -s "$word" "$program"; done
  : >"$doomed/abandoned"
  while kill -s QUIT "$program" 2>/dev/null; do sleep 0.1; done
) &
watcher=$!
exec 3<&-
wait "$program"
status=$?
if [ -e "$doomed/abandoned" ]; then rm -rf -- "$doomed"; fi
kill -s KILL "$watcher" 2>/dev/null
wait "$watcher" 2>/dev/null
exit "$status"
"""

_keepers: weakref.WeakSet[Keeper] = weakref.WeakSet()


class Keeper:
    """A running program of `account`; `doomed` is removed (by that account) if this process dies before it ended."""

    def __init__(
        self, argv: list[str], account: Account, doomed: Path, output: int, pass_fds: tuple[int, ...] = ()
    ) -> None:
        # Both ends are close-on-exec, so no other child of ours ever holds the writing end open.
        reading, self._writing = os.pipe()
        try:
            self._shell = account.popen(
                ["/bin/sh", "-c", _SCRIPT, "pg-keeper", str(doomed), *argv], reading, output, pass_fds
            )
        except BaseException:
            self.let_go()
            raise
        finally:
            os.close(reading)
        _keepers.add(self)

    def status(self) -> int | None:
        """The program's exit status, None while it runs."""
        return self._shell.poll()

    def wait(self, seconds: float) -> int:
        """The exit status, or subprocess.TimeoutExpired."""
        status = self._shell.wait(timeout=seconds)
        self.let_go()
        return status

    def stop(self, word: Word, seconds: float) -> bool:
        """Send the program a signal and wait for its end; False if it still runs after `seconds`."""
        if self.status() is None:
            # The end may come between the question and the word: then nobody reads the pipe any more.
            with suppress(BrokenPipeError):
                os.write(self._writing, f"{word}\n".encode())
        try:
            self.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def kill(self) -> None:
        """The last resort: SIGKILL for the shell, its watcher and the program (whose children notice that)."""
        os.killpg(self._shell.pid, signal.SIGKILL)
        self.wait(8)

    def let_go(self) -> None:
        """Close our end: what still runs is stopped at once and its folder removed, as if this process had died."""
        if self._writing >= 0:
            os.close(self._writing)
            self._writing = -1


def _forget_in_child() -> None:
    """A forked child (multiprocessing) inherits our ends; it is not the owner, so it closes its copies."""
    for keeper in list(_keepers):
        keeper.let_go()


os.register_at_fork(after_in_child=_forget_in_child)
