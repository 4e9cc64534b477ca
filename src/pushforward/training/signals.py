"""How Ctrl-C and SIGTERM end a training loop."""

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

GRACE_SECONDS = 1.0


@contextmanager
def signals_deferred() -> Iterator[Callable[[], bool]]:
    """Within it, a first SIGINT or SIGTERM makes the yielded function true, and says on standard error that it does.

    A second one acts as usual; where the main thread is inside a compiled program and cannot act within a second, it
    ends the process. A thread of its own hears the signals: Python's handlers wait until the program returns, which
    one that hangs never does. Outside of the main thread signals are left alone.
    """
    received = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield received.is_set
        return
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    previous = {number: handler for number, handler in handlers.items() if handler is not None}
    left = threading.Event()
    heard, told = socket.socketpair()
    told.setblocking(False)

    def handle(number: int, _: object) -> None:
        received.set()
        # A process in the background ignores SIGINT: restored at once, that would keep the second from the listener.
        if previous[signal.Signals(number)] != signal.SIG_IGN:
            signal.signal(number, previous[signal.Signals(number)])

    def listen() -> None:
        first = True
        while numbers := heard.recv(1):
            number = numbers[0]
            if number not in previous:
                continue
            if first:
                first = False
                received.set()
                _say(
                    "stopping at the end of this chunk, with a checkpoint where one is kept; once more to stop at once"
                )
            elif not left.wait(GRACE_SECONDS):
                _say("stopped at once")
                os._exit(128 + number)

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    wakeup = signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
    for number in previous:
        signal.signal(number, handle)
    try:
        yield received.is_set
    finally:
        left.set()
        signal.set_wakeup_fd(wakeup)
        for number, handler in previous.items():
            signal.signal(number, handler)
        told.close()
        listener.join()
        heard.close()


def _say(message: str) -> None:
    # Not `print`: the main thread may hold the lock of the stream.
    os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, f"\n{message}\n".encode())
