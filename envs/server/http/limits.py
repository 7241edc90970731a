"""The server's limits, all in one place: of what strangers may cost it, and of what one request may ask for."""

from __future__ import annotations

MAX_HEAD = 16_384
"""Bytes of a request's line and headers; clients send some 300."""
MAX_HEADERS = 64
MAX_UPLOAD = 4 * 2**30
"""Bytes of one uploaded file; it is held in memory while it is taken apart, as the rest of the request is."""
MAX_AGENT_BODY = 8 * 2**20
"""Bytes of a request with the agent's token: its longest, a text to be typed, has less than a tenth."""
MAX_SMALL = 2**16
"""Bytes of a body that is read before anything is known of its sender, so that he hears why he is refused."""
MAX_ROOM = 128 * 2**20
"""Bytes that all larger bodies together may take whose senders have not proven to hold the control token."""
MAX_PARTS = 64
"""Of a multipart body."""

HEAD_SECONDS = 10.0
"""From a connection to the end of its first small request, and from the first byte of a later one to its head's end."""
STRANGER_SECONDS = 30.0
"""For a long body on a connection that has not proven anything yet."""
BODY_SECONDS = 600.0
IDLE_SECONDS = 600.0
"""For the next request on a connection that has been of use, and for an answer to be taken."""

MAX_WAITING = 256
"""Connections that have not sent a whole request yet; beyond, the oldest of the address with the most is closed."""
MAX_ARRIVING = 32
"""Threads for first requests whose sender is not known yet; they wait for nobody."""
MAX_ARRIVING_LONG = 8
"""The same for requests with a long body, which wait for their sender."""
MAX_CONNECTIONS = {"control": 64, "agent": 24}
"""Connections at work by what their first request has proven: an agent cannot take the control's."""
MAX_CARRIED = 256
"""Connections that were made into others (tunnels, relays), each with another one behind it."""

MAX_ERROR = 1000
"""Characters of the line that says what is wrong."""
MAX_SECONDS = 3600.0
"""Of a command."""
MAX_SETTLE = 600.0
"""Seconds that a request may let the screen settle."""
MAX_FILE = 2**30
"""Bytes of a file that is sent; a larger one is refused, not cut."""
READ_SECONDS = 60.0
"""For reading a file; a pipe of the kernel's may go on for ever."""
MAX_LISTED = 100_000
"""Files and folders in a listing."""
MAX_FOLDERS = 200
"""Levels of folders in a listing; the controller reads 250."""
MAX_LISTING = 24 * 2**20
"""Bytes of a listing, about; the controller reads a third more."""
LISTING_SECONDS = 20.0
MAX_OUTPUT = 16 * 2**20
"""Bytes kept of each of stdout and stderr, and what each may take as JSON, where a byte may become six.

A command that prints more is cut, not refused.
"""
MAX_WRITTEN = 28 * 2**20
"""Bytes that both of them may take as JSON; the controller reads a little more."""
REMEMBERED = 64
REMEMBERED_BYTES = 64 * 2**20
"""Answers kept for requests that are sent again, for each role."""
