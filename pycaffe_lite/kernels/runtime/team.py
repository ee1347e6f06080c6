"""The team: threads that go through steps together with the caller, or rest where that costs too much.

The caller is member 0. The others are started once and sleep until there is a job: a row of steps. One
number, the position, says which step is open to all (even numbers) or over (odd ones: nobody finds a task
in it any more, but some may still be at work on theirs); it only grows, so that nobody takes one job's step
for another's. A member who wants to take part says that he is busy and looks again whether the step is still
open. If not, he stays away: its memory may be another step's already. When a step is over and nobody is
busy, whoever sees it first opens the next.

So nobody waits for a member who has not come, nor for one who has lost his core between two steps: what they
have not begun is done by those who are there. What has to be waited for is a task that somebody has begun
and cannot go on with, because other programs have his core. Where cores are shared that happens again and
again, and each time may take as long as a hundred such tasks. So an account is kept: what the others have
done, in time on their cores, less the time that the caller has lost, by waiting for them or without a core
himself. When it is overdrawn the team rests, for PATIENCE times as long as was lost: the caller works alone,
and the others sleep. Then they get a new chance. However busy the machine is, such trials take a few
hundredths of the time, and the team is back a second after the load has gone, at the latest. To wake members
for jobs that are over before they come is a loss, too, and ends in the same way.

There is one team in a process. Of several threads of Python's that call kernels at once, one gets it, and
the others work alone: together they are as many as the cores can bear.
"""

import _thread
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic

from pycaffe_lite.kernels.runtime.atomic import count_up, exchange, pause, read, swap_if
from pycaffe_lite.kernels.runtime.calls import CALL_BYTES, CALLER, LINE, SLOTS, Array
from pycaffe_lite.kernels.runtime.compile import kernel, serial_kernel
from pycaffe_lite.kernels.runtime.llvm import INT64
from pycaffe_lite.kernels.runtime.locks import team_start
from pycaffe_lite.kernels.runtime.system import (
    SYSTEM_NUMBERS,
    lock,
    now,
    own_time,
    ring,
    sleep,
    unlock,
    write_system,
)

# What a team shares stands in one int64 array: first the system's numbers, then these places. What is written
# often has a cache line for itself.
_LINES = -(-SYSTEM_NUMBERS // LINE)
POSITION, OWNED, CALLER_SLEEPS, OTHERS_SLEEP = ((_LINES + i) * LINE for i in range(4))
ROOM, ROWS, COUNTS, WORKERS, FIRST, LAST = ((_LINES + 4) * LINE + i for i in range(6))  # the job
RESTING, ASIDE, ENDED, MEMBERS = ((_LINES + 5) * LINE + i for i in range(4))
ACCOUNT, REST_END, SEEN, WAITED, START, OWN = ((_LINES + 6) * LINE + i for i in range(6))  # the caller's
_MEMBER_LINE = _LINES + 7  # and one for each member, of which all but the first number are his own
BUSY, DONE, TASK_TIME, WALL_START, OWN_START = range(5)

CALLERS_BELL, OTHERS_BELL = 0, 1

# A member who waits looks so many times, of 25 to 50 ns, and then sleeps; to be woken takes 30 us. To yield
# would be worse: other programs may then have his core until the system looks again, for 4 ms.
LOOKS = 8000
A_MOMENT = 50

# All in nanoseconds.
MOST_SAVED = 100_000_000  # so that a burst of other work, which every system has, costs no more than it takes
FIRST_CREDIT = 200_000  # what a trial may lose
PATIENCE = 40
LONGEST_REST = 1_000_000_000
A_SLEEP = 50_000  # more than it takes to wake a thread of Numba's
REPORT = 100_000  # how often a member looks at the clock of his own time, which takes 0.3 us


@intrinsic
def _enter(_context: Any, call: Any, taken: Any, workers: Any, worker: Any) -> Any:
    """Make the call that is written down at an address, as one of its workers."""

    def codegen(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        slots, counts = (builder.inttoptr(address, SLOTS) for address in args[:2])
        caller = builder.inttoptr(builder.load(slots), CALLER.as_pointer())
        builder.call(caller, [slots, counts, args[2], args[3]])
        return _context.get_dummy_value()

    return types.void(*[types.int64] * 4), codegen


@intrinsic
def _number_at(_context: Any, address: Any, index: Any) -> Any:
    """The int64 number at an index behind an address."""

    def codegen(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        numbers = builder.inttoptr(args[0], INT64.as_pointer())
        return builder.load(builder.gep(numbers, [args[1]]))

    return types.int64(types.int64, types.int64), codegen


@kernel
def _place(member: int) -> int:
    return (_MEMBER_LINE + member) * LINE


# -------------------------------------------------------------------------------------------------- steps


@kernel
def _take_part(state: Array, member: int, position: int) -> int:
    """Do a member's part of the step that is open at a position.

    Returns the last position of its job; 0 where the step is over already.
    """
    place, last = _place(member), 0
    exchange(state, place + BUSY, 1)
    if read(state, POSITION) == position:
        last = state[LAST]
        step, workers = (position - state[FIRST]) // 2, state[WORKERS]
        rows = _number_at(state[ROWS], step)
        taken = state[COUNTS] + 8 * step * (workers + 1) * LINE
        came = taken + 8 * workers * LINE
        number = member if state[MEMBERS] <= rows else count_up(came, 0)
        if number < rows:
            start = now(state) if member > 0 else 0
            _enter(state[ROOM] + step * CALL_BYTES, taken, rows, number)
            swap_if(state, POSITION, position, position + 1)
            if member > 0:
                _report(state, place, start)
    exchange(state, place + BUSY, 0)
    return last


@kernel
def _nobody_busy(state: Array) -> bool:
    busy = 0
    for member in range(state[MEMBERS]):
        busy += read(state, _place(member) + BUSY)
    return busy == 0


@kernel
def _open_next(state: Array, position: int) -> int:
    """Open the step behind one that is over; return how long it took to wake others."""
    return _wake_others(state) if swap_if(state, POSITION, position, position + 1) else 0


@kernel
def _wake_others(state: Array) -> int:
    """Wake those who sleep and are not to rest; return how long that took."""
    if read(state, RESTING) != 0 or read(state, OTHERS_SLEEP) == 0 or exchange(state, OTHERS_SLEEP, 0) == 0:
        return 0
    start = now(state)
    ring(state, OTHERS_BELL)
    return now(state) - start


@kernel
def _has_something_to_do(state: Array, member: int, seen: int, last: int) -> bool:
    """Whether a member has to wait no longer, who has seen the step at a position of a job up to `last`."""
    if member > 0:
        if read(state, ENDED) != 0:
            return True
        if read(state, RESTING) != 0:
            return False
    position = read(state, POSITION)
    if position % 2 == 0:
        return bool(position != seen)
    if member > 0 and (position != seen + 1 or position >= last):
        return False  # of a job that is not his, or done
    return _nobody_busy(state)


@kernel
def _wait(state: Array, member: int, seen: int, last: int) -> None:
    """Wait until there is something to do; the caller counts how long, unless it is a moment."""
    looks, start = 0, 0
    while not _has_something_to_do(state, member, seen, last):
        looks += 1
        if member > 0 and (looks > LOOKS or read(state, RESTING) + read(state, ASIDE) != 0):
            _report(state, _place(member), now(state))
            _sleep(state, member, seen, last, OTHERS_BELL, OTHERS_SLEEP)
            _start_report(state, _place(member))
        elif looks <= LOOKS:
            pause()
        else:
            _sleep(state, member, seen, last, CALLERS_BELL, CALLER_SLEEPS)
        if member == 0 and looks == A_MOMENT:
            start = now(state)
    if start != 0:
        state[WAITED] += now(state) - start


@kernel
def _sleep(state: Array, member: int, seen: int, last: int, bell: int, flag: int) -> None:
    """Sleep until there is something to do. Who changes that looks at the flag afterwards, and rings."""
    lock(state, bell)
    exchange(state, flag, 1)
    while not _has_something_to_do(state, member, seen, last):
        sleep(state, bell)
        exchange(state, flag, 1)
    unlock(state, bell)


# ------------------------------------------------------------------------------------------------ account


@kernel
def _start_report(state: Array, place: int) -> None:
    state[place + TASK_TIME] = 0
    state[place + WALL_START], state[place + OWN_START] = now(state), own_time(state)


@kernel
def _report(state: Array, place: int, task_start: int) -> None:
    """Count a member's time at a task; now and then, say how much of it he had a core."""
    end = now(state)
    state[place + TASK_TIME] += end - task_start
    wall = end - state[place + WALL_START]
    if wall >= REPORT:
        without_core = wall - (own_time(state) - state[place + OWN_START])
        state[place + DONE] += max(0, state[place + TASK_TIME] - without_core)
        _start_report(state, place)


@serial_kernel
def settle(state: Array, done: int, lost: int, time: int) -> None:
    """Enter into the account what others have done and what time the caller has lost; all nanoseconds.

    Where that overdraws it, they rest from the time on.
    """
    state[ACCOUNT] = min(MOST_SAVED, state[ACCOUNT] + done - lost)
    if state[ACCOUNT] < 0:
        rest = PATIENCE * (FIRST_CREDIT - state[ACCOUNT])
        state[REST_END] = time + min(LONGEST_REST, rest)
        state[ACCOUNT] = FIRST_CREDIT
        exchange(state, RESTING, 1)


@kernel
def _look_after(state: Array, time: int) -> None:
    """The caller's part of all that, before each step."""
    if state[RESTING] != 0:
        if time >= state[REST_END]:
            exchange(state, RESTING, 0)
            state[WAITED] += _wake_others(state)
        return
    without_core = 0
    if time - state[START] >= REPORT:
        own = own_time(state)
        if state[OWN] != 0:
            without_core = time - state[START] - (own - state[OWN])
        state[START], state[OWN] = time, own
    if without_core > 0 or state[WAITED] != 0:
        done = 0
        for member in range(1, state[MEMBERS]):
            done += state[_place(member) + DONE]
        settle(state, done - state[SEEN], max(state[WAITED], without_core), time)
        state[SEEN], state[WAITED] = done, 0


# ------------------------------------------------------------------------------------------------- members


@serial_kernel
def lead(state: Array, room: int, rows: Array, counts: Array, workers: int) -> None:
    """Go through all steps of a job, with the team if it is free.

    Args:
        state: the team's.
        room: address of the calls.
        rows: the workers that each step has memory for, of which there are `workers` at most.
        counts: of each step, a cache line for each number: how many tasks are taken of each worker's share,
            and how many workers came.
    """
    counts[:] = 0
    if rows.size == 0:
        return
    counts_at = counts.ctypes.data
    if state[MEMBERS] == 1 or workers <= 1 or not swap_if(state, OWNED, 0, 1):
        for step in range(rows.size):
            taken = counts_at + 8 * step * (workers + 1) * LINE
            _enter(room + step * CALL_BYTES, taken, rows[step], 0)
        return
    first = state[POSITION] + 1
    last = first + 2 * rows.size - 1
    state[ROOM], state[ROWS], state[COUNTS], state[WORKERS] = room, rows.ctypes.data, counts_at, workers
    state[FIRST], state[LAST] = first, last
    time = now(state)
    state[START], state[OWN] = time, 0
    _look_after(state, time)
    state[WAITED] += _open_next(state, first - 1)
    seen = first - 1
    while True:
        position = read(state, POSITION)
        if position % 2 == 0 and position != seen:
            _take_part(state, 0, position)
            seen = position
        elif position % 2 == 1 and _nobody_busy(state):
            if position == last:
                break
            _look_after(state, now(state))
            state[WAITED] += _open_next(state, position)
        else:
            _wait(state, 0, seen, last)
    exchange(state, OWNED, 0)


@serial_kernel
def follow(state: Array, member: int) -> None:
    """Take part in all jobs until the team is ended."""
    seen, last = 0, 0
    _start_report(state, _place(member))
    while True:
        _wait(state, member, seen, last)
        if read(state, ENDED) != 0:
            return
        position = read(state, POSITION)
        if position % 2 == 1:
            if position == seen + 1 and position < last and _nobody_busy(state):
                _open_next(state, position)
        elif position != seen:
            job = _take_part(state, member, position)
            if job != 0:
                seen, last = position, job
        if read(state, CALLER_SLEEPS) != 0 and exchange(state, CALLER_SLEEPS, 0) != 0:
            ring(state, CALLERS_BELL)


class Team:
    """The threads of one team.

    Attributes:
        members: how many take part at most, with the caller.
        state: what they share.
    """

    def __init__(self, members: int) -> None:
        count = _place(members)
        memory = np.zeros(count + LINE, np.int64)
        start = -memory.ctypes.data // memory.itemsize % LINE
        self.members, self.state = members, memory[start : start + count]
        write_system(self.state)
        self.state[POSITION], self.state[MEMBERS], self.state[ACCOUNT] = 1, members, FIRST_CREDIT

    def start(self) -> None:
        """Start the members."""
        self.state[ENDED] = 1
        follow(self.state, 0)  # compiled here, not in all threads at once
        self.state[ENDED] = 0
        for member in range(1, self.members):
            try:
                _thread.start_new_thread(follow, (self.state, member))
            except RuntimeError:  # there may be no more threads: the others do the work
                return

    def end(self) -> None:
        """Send the members home: each goes when he has nothing to do."""
        wake_to_end(self.state)

    def is_resting(self) -> bool:
        """Whether the caller had better work alone for now."""
        return bool(self.state[RESTING] != 0 and time.monotonic_ns() < self.state[REST_END])

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Lets the others sleep as soon as they have nothing to do: Numba's threads want their cores."""
        self.state[ASIDE] = 1
        try:
            yield
        finally:
            self.state[ASIDE] = 0

    def settle_loop(self, wall: int, own: int) -> None:
        """Enter into the account a loop on Numba's threads: how long it took, and how long with a core.

        The caller sleeps there until the last thread is done. How much the others did is a guess: as much.
        """
        if wall - own > A_SLEEP:
            settle(self.state, (self.members - 1) * own, wall - own, time.monotonic_ns())


@serial_kernel
def wake_to_end(state: Array) -> None:
    """See `Team.end`."""
    exchange(state, ENDED, 1)
    ring(state, OTHERS_BELL)


_team: Team | None = None


def team_of(members: int) -> Team:
    """The process's team; one of another size is ended."""
    global _team
    team = _team
    if team is None or team.members != members:
        with team_start:
            team = _team
            if team is None or team.members != members:
                if team is not None:
                    team.end()
                team = _team = Team(members)
                team.start()
    return team


def _after_fork_in_child() -> None:
    """The threads stay in the parent."""
    global _team
    _team = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
