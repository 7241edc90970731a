"""All of the server's limits: how much strangers may cost it, and how much one request may ask for."""

from __future__ import annotations

MAX_HEAD = 16_384
"""The most bytes of a request's line and headers; clients send about 300."""
MAX_HEADERS = 64
MAX_UPLOAD = 4 * 2**30
"""The most bytes of one uploaded file. The whole request is in memory while the server parses it."""
MAX_AGENT_BODY = 8 * 2**20
"""The most bytes of a request with the agent's token. Its longest request, a text to type, is less than a tenth of
that.
"""
MAX_SMALL = 2**16
"""The most bytes of a body that the server reads from an unknown sender, to be able to say why it refuses."""
MAX_ROOM = 128 * 2**20
"""The most bytes of all larger bodies together, from senders who have not proven that they hold the control token."""
MAX_PARTS = 64
"""The most parts of a multipart body."""

HEAD_SECONDS = 10.0
"""Seconds for a connection's first small request, and for a later request's head from its first byte."""
STRANGER_SECONDS = 30.0
"""Seconds for a long body on a connection that has not proven anything yet."""
BODY_SECONDS = 600.0
IDLE_SECONDS = 600.0
"""Seconds for the next request on a used connection, and for the client to read an answer."""

MAX_WAITING = 256
"""The most connections that have not sent a whole request yet. One more closes the oldest from the busiest address."""
MAX_ARRIVING = 32
"""Threads for first requests of unknown senders that have arrived whole, so the threads never wait."""
MAX_ARRIVING_LONG = 8
"""Threads for first requests with a long body, which wait for their sender."""
MAX_CONNECTIONS = {"control": 64, "agent": 24}
"""The most active connections, by the role that their first request proved. An agent cannot take control's share."""
MAX_CARRIED = 256
"""The most connections that became tunnels or relays. Each has another connection behind it."""

MAX_ERROR = 1000
"""The most characters of an error's line."""
MAX_SECONDS = 3600.0
"""The most seconds for a command."""
MAX_SETTLE = 600.0
"""The most seconds that a request may wait for the screen to settle."""
MAX_FILE = 2**30
"""The largest file that the server sends, in bytes. It refuses larger ones and never cuts one."""
READ_SECONDS = 60.0
"""Seconds for reading a file; some files of the kernel never end."""
MAX_LISTED = 100_000
"""The most files and folders in a listing."""
MAX_FOLDERS = 200
"""The most levels of folders in a listing; the controller reads 250."""
MAX_LISTING = 24 * 2**20
"""Roughly the most bytes of a listing; the controller reads a third more."""
LISTING_SECONDS = 20.0
MAX_OUTPUT = 16 * 2**20
"""Bytes kept of stdout and of stderr, and bytes that each may take as JSON, where one byte may become six.

The output of a command that prints more is cut, not refused.
"""
MAX_WRITTEN = 28 * 2**20
"""Bytes that both together may take as JSON; the controller reads a little more."""
REMEMBERED = 64
REMEMBERED_BYTES = 64 * 2**20
"""How many answers, and how many bytes of them, the server keeps for each role, for requests that are sent again."""
