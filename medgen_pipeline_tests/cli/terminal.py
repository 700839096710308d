"""Commands as a person at a terminal starts them."""

import signal


def takes_ctrl_c() -> None:
    """Take Ctrl-C, which whatever a shell starts with `&` ignores, with all that it starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
