"""Runs in a desktop as the agent: asks the kernel for one thing that an agent's program must not get.

`kernel.py NAME` prints a line of JSON: whether it got it, and what the kernel said. Standard library only.
"""

import ctypes
import errno
import json
import mmap
import os
import platform
import signal
import socket
import struct
import sys

LIBC = ctypes.CDLL(None, use_errno=True)
X86 = platform.machine() == "x86_64"
NUMBERS = {  # x86_64, aarch64: asm/unistd_64.h, asm-generic/unistd.h
    "ptrace": (101, 117), "pivot_root": (155, 41), "adjtimex": (159, 171), "settimeofday": (164, 170),
    "reboot": (169, 142), "init_module": (175, 105), "delete_module": (176, 106), "syslog": (103, 116),
    "clone": (56, 220), "kexec_load": (246, 104), "kexec_file_load": (320, 294), "add_key": (248, 217),
    "keyctl": (250, 219), "perf_event_open": (298, 241), "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265), "process_vm_readv": (310, 270), "finit_module": (313, 273), "bpf": (321, 280),
    "userfaultfd": (323, 282), "io_uring_setup": (425, 425), "open_tree": (428, 428), "fsopen": (430, 430),
    "pidfd_open": (434, 434), "clone3": (435, 435), "pidfd_getfd": (438, 438), "mount_setattr": (442, 442),
    "swapon": (167, 224), "quotactl": (179, 60), "acct": (163, 89), "iopl": (172, -1), "capset": (126, 91),
    "fanotify_init": (300, 262), "move_pages": (279, 239), "prlimit64": (302, 261), "mount": (165, 40),
}  # fmt: skip
CLONE_NEWNS, CLONE_NEWUSER = 0x20000, 0x10000000
NAMESPACES = {"cgroup": 0x2000000, "uts": 0x4000000, "ipc": 0x8000000, "pid": 0x20000000, "net": 0x40000000}
MS_REMOUNT, MS_BIND, MNT_DETACH = 32, 4096, 2
VSOCK = 40


class Refused(Exception):
    """The kernel refused."""


def call(name, *arguments):
    """A system call by number, without a library in between.

    Raises:
        Refused: with the name of the error.
    """
    number = NUMBERS[name][0 if X86 else 1]
    return checked(name, LIBC.syscall(number, *[ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]))


def checked(name, answer):
    """Check the result of a C library call."""
    if answer < 0:
        raise Refused(f"{name}: {errno.errorcode.get(ctypes.get_errno(), ctypes.get_errno())}")
    return answer


def first(attempts):
    """The first of several ways that works.

    Raises:
        Refused: none worked.
    """
    said = []
    for attempt in attempts:
        try:
            got = attempt()
        except (Refused, OSError) as error:
            said.append(str(error) if isinstance(error, Refused) else f"{error.strerror}: {error.filename or ''}")
        else:
            return f"{got}"
    raise Refused("; ".join(dict.fromkeys(said)) or "there is nothing to try")


# -- visible processes ------------------------------------------------------------------------------------------------


def processes(*words):
    """Processes whose command line has all of the words in a row; sandboxes contain everybody's."""
    wanted, found = b"\0".join(word.encode() for word in words), []
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) not in (os.getpid(), os.getppid()):
            try:
                with open(f"/proc/{name}/cmdline", "rb") as file:
                    line = file.read()
            except OSError:
                continue
            if wanted in line and not line.startswith(b"bwrap"):
                found.append(int(name))
    return found


def servers():
    """The server's processes: the one that answers the controller, and the one that started it, if any."""
    found = processes("-m", "deskbench.envs.server") or processes("-m", "deskbench.envs.server.wine.session")
    if not found:
        raise AssertionError("the server is not among the processes that can be seen")
    return found


def bus():
    """The session's bus."""
    return processes("dbus-daemon", "--session")


# -- namespaces, mounts ---------------------------------------------------------------------------------------------


def unshare_user():
    checked("unshare", LIBC.unshare(CLONE_NEWUSER))
    return "a user namespace of its own, with every capability in it"


def unshare_others():
    def one(name, flag):
        checked(f"unshare {name}", LIBC.unshare(flag))
        return f"a new {name} namespace"

    return first([lambda n=n, f=f: one(n, f) for n, f in {**NAMESPACES, "mnt": CLONE_NEWNS}.items()])


def clone_user():
    def old():
        pid = call("clone", CLONE_NEWUSER | signal.SIGCHLD, 0, 0, 0, 0)
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
        return "clone made a user namespace"

    def new():
        arguments = struct.pack("<8Q", CLONE_NEWUSER, 0, 0, 0, signal.SIGCHLD, 0, 0, 0)
        pid = call("clone3", ctypes.c_char_p(arguments), len(arguments))
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
        return "clone3 made a user namespace"

    return first([old, new])


def setns():
    def enter(path):
        descriptor = os.open(path, os.O_RDONLY)
        checked(f"setns {path}", LIBC.setns(descriptor, 0))
        return f"entered {path}"

    names = ("user", "mnt", "net", "pid", "ipc", "uts", "cgroup")
    return first([lambda p=p, n=n: enter(f"/proc/{p}/ns/{n}") for p in (1, *servers()) for n in names])


def mount():
    os.makedirs("/tmp/attack-mount", exist_ok=True)

    def old(kind, source):
        checked(f"mount {kind}", LIBC.mount(source, b"/tmp/attack-mount", kind, 0, None))
        return f"mounted {kind.decode()}"

    def new():
        call("fsopen", ctypes.c_char_p(b"tmpfs"), 0)
        return "fsopen opened a tmpfs"

    def tree():
        call("open_tree", -100, ctypes.c_char_p(b"/usr"), 1)
        return "open_tree cloned /usr"

    kinds = [(b"tmpfs", b"none"), (b"proc", b"proc"), (b"sysfs", b"sysfs"), (b"cgroup", b"cgroup"), (b"overlay", b"x")]
    return first([*(lambda k=k, s=s: old(k, s) for k, s in kinds), new, tree])


def remount():
    def one(path):
        checked(f"remount {path}", LIBC.mount(b"none", path.encode(), None, MS_REMOUNT | MS_BIND, None))
        return f"{path} is writable now"

    return first([lambda p=p: one(p) for p in ("/", "/usr", "/proc", "/proc/sys", "/etc/passwd", "/opt/deskbench")])


def umount():
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        over = [line.split()[4] for line in file if line.split()[4] not in ("/", "/proc", "/tmp")]

    def one(path):
        checked(f"umount {path}", LIBC.umount2(path.encode(), MNT_DETACH))
        return f"took {path} away"

    return first([lambda p=p: one(p) for p in over])


def pivot_root():
    os.makedirs("/tmp/attack-root/old", exist_ok=True)
    call("pivot_root", ctypes.c_char_p(b"/tmp/attack-root"), ctypes.c_char_p(b"/tmp/attack-root/old"))
    return "the root is another"


def chroot():
    try:
        os.chroot("/tmp")
    except OSError as error:
        raise Refused(f"chroot: {error.strerror}") from None
    return "chroot was allowed: with it, .. leads out"


# -- devices, files by handle ----------------------------------------------------------------------------------------


def mknod():
    def one(name, major, minor, kind):
        path = f"/tmp/attack-{name}"
        os.mknod(path, kind | 0o666, os.makedev(major, minor))
        with open(path, "rb") as file:
            return f"{name} is there and can be read: {len(file.read(16))} bytes"

    return first([lambda: one("disk", 254, 0, 0o60000), lambda: one("sda", 8, 0, 0o60000),
                  lambda: one("mem", 1, 1, 0o20000), lambda: one("kmsg", 1, 11, 0o20000)])  # fmt: skip


PLAIN = {"null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts", "shm", "mqueue", "fd", "stdin", "stdout",
         "stderr", "core", "console"}  # fmt: skip


def devices():
    def one(path):
        os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY))
        return f"{path} opens"

    there = [f"/dev/{name}" for name in os.listdir("/dev") if name not in PLAIN]
    return first([lambda p=p: one(p) for p in [*there, "/dev/mem", "/dev/kmsg", "/dev/kvm", "/dev/vda", "/dev/fuse"]])


def open_by_handle():
    mounted = os.open("/usr", os.O_RDONLY)

    def one(inode):
        handle = struct.pack("<Ii", 8, 1) + struct.pack("<II", inode, 0)
        descriptor = call("open_by_handle_at", mounted, ctypes.create_string_buffer(handle), os.O_RDONLY)
        return f"opened inode {inode} of the file system that /usr is on: {os.listdir(descriptor)[:5]}"

    return first([lambda i=i: one(i) for i in (2, 1, 128, 256)])


# -- sockets ----------------------------------------------------------------------------------------------------------


def family(number, kind=socket.SOCK_STREAM, protocol=0):
    descriptor = checked(f"socket({number})", LIBC.socket(number, kind, protocol))
    os.close(descriptor)
    return f"a socket of family {number}"


def vsock():
    return first([lambda: family(VSOCK), lambda: family(VSOCK, socket.SOCK_DGRAM)])


def vsock_x32():
    if not X86:
        raise Refused("no second numbering of system calls on this architecture")
    checked("socket by the x32 numbering", LIBC.syscall(ctypes.c_long(0x40000000 | 41), VSOCK, 1, 0))
    return "AF_VSOCK by the x32 numbering of system calls"


def vsock_i386():
    """`int 0x80` uses the numbers of 32-bit programs; a filter that knows only one numbering lets it pass."""
    if not X86:
        raise Refused("no 32-bit system calls on this architecture")
    code = b"\x53\xb8" + struct.pack("<I", 359) + b"\xbb" + struct.pack("<I", VSOCK)
    code += b"\xb9" + struct.pack("<I", 1) + b"\xba" + struct.pack("<I", 0) + b"\xcd\x80\x5b\xc3"
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(code)
    run = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
    answer = run()
    if answer < 0:
        raise Refused(f"socket by int 0x80: {errno.errorcode.get(-answer, answer)}")
    return "AF_VSOCK by a 32-bit system call"


def packet():
    return first([lambda: family(17, socket.SOCK_RAW, 0x300), lambda: family(2, socket.SOCK_RAW, 1),
                  lambda: family(10, socket.SOCK_RAW, 58)])  # fmt: skip


def families():
    """Socket families that no desktop program needs and that had kernel bugs: AX25, X25, RDS, TIPC, CAN, ..."""
    numbers = {
        "ax25": 3,
        "x25": 9,
        "key": 15,
        "rds": 21,
        "can": 29,
        "tipc": 30,
        "bluetooth": 31,
        "xdp": 44,
        "qipcrtr": 42,
    }
    kinds = (socket.SOCK_RAW, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET)
    return first([lambda n=n, k=k: family(n, k, 2 if n == 15 else 0) for n in numbers.values() for k in kinds])


def netlink_audit():
    descriptor = checked("socket netlink/audit", LIBC.socket(16, socket.SOCK_RAW, 9))
    message = struct.pack("<IHHII", 16, 1000, 5, 1, 0)  # AUDIT_GET, with an acknowledgement
    sock = socket.socket(fileno=descriptor)
    sock.settimeout(2)
    sock.bind((0, 0))
    sock.send(message)
    answer = sock.recv(4096)
    kind = struct.unpack_from("<H", answer, 4)[0]
    if kind == 2:
        raise Refused(f"audit: {errno.errorcode.get(-struct.unpack_from('<i', answer, 16)[0])}")
    return "the kernel's audit answers"


# -- calls that only the machine's root needs --------------------------------------------------------------------------


def keyrings():
    def add():
        call("add_key", ctypes.c_char_p(b"user"), ctypes.c_char_p(b"deskbench-attack"), ctypes.c_char_p(b"x"), 1, -2)
        return "a key was added to a keyring: keyrings are not namespaced"

    def ring():
        return f"the user's keyring is {call('keyctl', 0, -4, 0, 0, 0)}"

    return first([ring, add])


def bpf():
    def one(command, packed):
        call("bpf", command, ctypes.create_string_buffer(packed.ljust(128, b"\0")), 128)
        return f"bpf command {command} was carried out"

    # a socket filter of two instructions: r0 = 0; exit
    code = ctypes.create_string_buffer(struct.pack("<QQ", 0xB7, 0x95))
    word = ctypes.create_string_buffer(b"GPL\0")
    load = struct.pack("<IIQQ", 1, 2, ctypes.addressof(code), ctypes.addressof(word))
    return first([lambda: one(0, struct.pack("<IIII", 2, 4, 4, 1)), lambda: one(5, load)])


def perf():
    attributes = struct.pack("<IIQQQQQ", 1, 112, 0, 0, 0, 0, (1 << 5) | (1 << 6)).ljust(112, b"\0")
    call("perf_event_open", ctypes.create_string_buffer(attributes), 0, -1, -1, 0)
    return "a performance counter"


def userfaultfd():
    return first([lambda f=f: f"userfaultfd is descriptor {call('userfaultfd', f)}" for f in (1, 0)])


def io_uring():
    call("io_uring_setup", 4, ctypes.create_string_buffer(120))
    return "a ring: what goes through it is not seen by a filter of system calls"


def kexec():
    return first([lambda: f"kexec_load: {call('kexec_load', 0, 0, 0, 0)}",
                  lambda: f"kexec_file_load: {call('kexec_file_load', -1, -1, 0, 0, 0)}"])  # fmt: skip


def modules():
    empty = ctypes.create_string_buffer(b"\x7fELF" + b"\0" * 60)

    def really(name, *arguments):
        try:
            return f"{name}: {call(name, *arguments)}"
        except Refused as refused:
            if any(word in str(refused) for word in ("EPERM", "ENOSYS", "EACCES")):
                raise
            return f"{name} looked at what it was given ({refused})"

    return first([
        lambda: really("init_module", empty, 64, ctypes.c_char_p(b"")),
        lambda: really("finit_module", os.open("/proc/self/exe", os.O_RDONLY), ctypes.c_char_p(b""), 0),
        lambda: really("delete_module", ctypes.c_char_p(b"deskbench_attack"), 0),
    ])  # fmt: skip


def clock():
    import time

    now = ctypes.create_string_buffer(struct.pack("<qq", int(time.time()), 0))

    def set_mode():  # ADJ_STATUS with the current value
        buffer = ctypes.create_string_buffer(208)
        call("adjtimex", buffer)
        struct.pack_into("<I", buffer, 0, 0x10)
        return f"adjtimex: {call('adjtimex', buffer)}"

    return first([lambda: f"settimeofday: {call('settimeofday', now, None)}", set_mode])


def machine():
    """Reboot (only as Ctrl-Alt-Del does), swap, accounting, ports."""
    return first([
        lambda: f"reboot: {call('reboot', 0xFEE1DEAD, 672274793, 0, 0)}",
        lambda: f"swapon: {call('swapon', ctypes.c_char_p(b'/tmp/none'), 0)}",
        lambda: f"acct: {call('acct', None)}",
        *([lambda: f"iopl: {call('iopl', 3)}"] if X86 else []),
    ])  # fmt: skip


def kernel_log():
    def read():
        size = call("syslog", 3, ctypes.create_string_buffer(4096), 4096)
        if size == 0:
            raise Refused("syslog: empty")
        return f"{size} bytes of the kernel's log"

    return first([read, lambda: f"/dev/kmsg: {os.read(os.open('/dev/kmsg', os.O_RDONLY | os.O_NONBLOCK), 64)!r}"])


def fanotify():
    descriptor = call("fanotify_init", 0, os.O_RDONLY)
    return f"fanotify without limits: descriptor {descriptor}"


# -- rights -----------------------------------------------------------------------------------------------------------


def capabilities():
    with open("/proc/self/status", encoding="ascii") as file:
        status = dict(line.split(":\t", 1) for line in file.read().splitlines() if ":\t" in line)
    held = {name: status[name] for name in ("CapEff", "CapPrm", "CapAmb", "CapInh") if int(status[name], 16)}
    if held:
        return f"holds {held}"
    header = ctypes.create_string_buffer(struct.pack("<Ii", 0x20080522, 0))
    call("capset", header, ctypes.create_string_buffer(struct.pack("<6I", *[0xFFFFFFFF] * 3, *[0x1FF] * 3)))
    return "capset raised them"


def become_root():
    def ids():
        os.setresuid(0, 0, 0)
        return f"is user {os.getuid()}"

    def groups():
        os.setgroups([0])
        return f"is in groups {os.getgroups()}"

    return first([ids, groups])


def setuid_programs():
    """Whether any setuid program of root runs as root when the agent starts it."""
    import glob
    import subprocess
    import time

    found = [p for p in glob.glob("/usr/bin/*") + glob.glob("/usr/sbin/*") + glob.glob("/usr/lib*/*/*")
             if os.path.isfile(p) and os.stat(p).st_mode & 0o4000]  # fmt: skip
    me = os.geteuid()
    for path in found:
        process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 0.2
        try:
            while time.monotonic() < end and process.poll() is None:
                with open(f"/proc/{process.pid}/status", encoding="ascii") as file:
                    ids = next(line for line in file if line.startswith("Uid:")).split()
                with open(f"/proc/{process.pid}/comm", encoding="ascii") as file:
                    ran = file.read().strip()
                if int(ids[2]) != me and ran == os.path.basename(path)[:15]:
                    return f"{path} runs as user {ids[2]}"
        except OSError:
            pass
        finally:
            process.kill()
            process.wait()
    raise Refused(f"{len(found)} setuid programs, none ran as another user")


def sudo():
    """Become root with a password that nobody has set."""
    import shutil
    import subprocess

    tried = []
    for command in (["sudo", "-n", "id", "-u"], ["sudo", "-S", "id", "-u"], ["su", "-c", "id -u"], ["pkexec", "id", "-u"],
                    ["doas", "id", "-u"], ["runuser", "-u", "root", "--", "id", "-u"]):  # fmt: skip
        if shutil.which(command[0], path="/usr/bin:/bin:/usr/sbin:/sbin") is None:
            continue
        for password in ("", "user", "root", "password", "osworld-public-evaluation"):
            done = subprocess.run(command, input=password + "\n", capture_output=True, text=True, timeout=20, check=False,
                                  start_new_session=True, env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin"})  # fmt: skip
            if done.stdout.strip() == "0":
                return f"{command[0]} with the password {password!r}"
            if command[0] in ("su", "pkexec") and password == "user":
                break  # each wrong one costs seconds
        tried.append(command[0])
    raise Refused(f"tried {', '.join(tried)}")


def id_maps():
    def one(pid, name):
        descriptor = os.open(f"/proc/{pid}/{name}", os.O_WRONLY)
        os.write(descriptor, b"0 0 1\n" if name != "setgroups" else b"allow")
        return f"wrote /proc/{pid}/{name}"

    def helper():
        import subprocess

        done = subprocess.run(
            ["newuidmap", str(os.getppid()), "0", "0", "1"], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise Refused(f"newuidmap: {done.stderr.strip()[:80]}")
        return "newuidmap mapped root"

    ways = [lambda n=n: one("self", n) for n in ("uid_map", "gid_map", "setgroups")]
    return first([*ways, helper])


# -- other processes: the server, init, the bus -----------------------------------------------------------------------


def ptrace(pids):
    def one(pid):
        call("ptrace", 16, pid, 0, 0)  # PTRACE_ATTACH
        os.waitpid(pid, 0x40000000)
        call("ptrace", 17, pid, 0, 0)
        return f"attached to process {pid}"

    def seize(pid):
        call("ptrace", 0x4206, pid, 0, 0)  # PTRACE_SEIZE stops nothing
        return f"seized process {pid}"

    return first([lambda p=p: seize(p) for p in pids] + [lambda p=p: one(p) for p in pids])


def process_vm(pids):
    def one(pid, start):
        buffer = ctypes.create_string_buffer(8)
        local = struct.pack("<QQ", ctypes.addressof(buffer), 8)
        remote = struct.pack("<QQ", start, 8)
        call("process_vm_readv", pid, ctypes.c_char_p(local), 1, ctypes.c_char_p(remote), 1, 0)
        return f"read {buffer.raw!r} out of process {pid}"

    # If a program's stack address is hidden, any mapped address will do. The vDSO page differs between processes; the
    # executable of Debian's Python does not (it is not position independent).
    return first([lambda p=p, a=a: one(p, a) for p in pids for a in (start_of(p), 0x400000) if a])


def start_of(pid):
    """The first mapped address of a process, if it is readable."""
    try:
        with open(f"/proc/{pid}/maps", encoding="ascii") as file:
            return int(file.readline().partition("-")[0] or "0", 16)
    except (OSError, ValueError):
        return 0


def pidfd_getfd(pids):
    def one(pid, number):
        descriptor = call("pidfd_open", pid, 0)
        got = call("pidfd_getfd", descriptor, number, 0)
        return f"took descriptor {number} of process {pid}: {os.readlink(f'/proc/self/fd/{got}')}"

    return first([lambda p=p, n=n: one(p, n) for p in pids for n in range(8)])


def proc_files(pids):
    def one(pid, name):
        with open(f"/proc/{pid}/{name}", "rb") as file:
            if name.endswith("mem"):
                file.seek(start_of(pid) or 0x400000)
            return f"read {len(file.read(64))} bytes of /proc/{pid}/{name}"

    def links(pid, name):
        found = os.listdir(f"/proc/{pid}/{name}")
        return f"/proc/{pid}/{name} has {found[:4]}"

    names = ("mem", "environ", "maps", "auxv", "syscall", "stack", "pagemap", f"task/{pids[0]}/mem")
    files = [lambda p=p, n=n: one(p, n) for p in pids for n in names]
    return first([*files, *(lambda p=p, n=n: links(p, n) for p in pids for n in ("fd", "map_files", "fdinfo"))])


def limits_of(pids):
    """Take away the server's memory, files and CPU time."""

    def rlimit(pid):
        call("prlimit64", pid, 7, ctypes.create_string_buffer(struct.pack("<QQ", 8, 8)), None)
        return f"process {pid} may have 8 files open now"

    def oom(pid):
        with open(f"/proc/{pid}/oom_score_adj", "w", encoding="ascii") as file:
            file.write("1000")
        return f"process {pid} is the first that ends when memory does"

    def nice(pid):
        os.setpriority(os.PRIO_PROCESS, pid, 19)
        return f"process {pid} has the lowest priority now"

    def affinity(pid):
        os.sched_setaffinity(pid, {0})
        return f"process {pid} has one core now"

    def idle(pid):
        os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))
        return f"process {pid} runs when nothing else does"

    return first([lambda p=p, w=w: w(p) for p in pids for w in (rlimit, oom, nice, affinity, idle)])


def oom_below_zero():
    with open("/proc/self/oom_score_adj", "r+", encoding="ascii") as file:
        before = file.read().strip()
        file.seek(0)
        file.write("-500\n")
    with open("/proc/self/oom_score_adj", encoding="ascii") as file:
        now = int(file.read())
    if now < 0:
        return f"oom_score_adj was {before} and is {now}"
    raise Refused(f"oom_score_adj is {now}")


def tty():
    TIOCSTI, TIOCLINUX = 0x5412, 0x541C
    import fcntl

    def one(path, request):
        descriptor = path if isinstance(path, int) else os.open(path, os.O_RDWR | os.O_NOCTTY)
        fcntl.ioctl(descriptor, request, b"#" if request == TIOCSTI else b"\x03")
        return f"typed into {path}"

    paths = ("/dev/tty", "/dev/console", "/dev/tty0", 0, 1, 2)
    return first([lambda p=p, r=r: one(p, r) for p in paths for r in (TIOCSTI, TIOCLINUX)])


def server_signal(number):
    said = []
    for pid in servers():
        try:
            os.kill(pid, number)
        except OSError as error:
            said.append(f"kill {pid}: {error.strerror}")
        else:
            return f"signal {number} was sent to process {pid}"
    raise Refused("; ".join(said))


ATTEMPTS = {
    "unshare_user": unshare_user, "unshare_others": unshare_others, "clone_user": clone_user, "setns": setns,
    "mount": mount, "remount": remount, "umount": umount, "pivot_root": pivot_root, "chroot": chroot, "mknod": mknod,
    "devices": devices, "open_by_handle": open_by_handle, "vsock": vsock, "vsock_x32": vsock_x32,
    "vsock_i386": vsock_i386, "packet": packet, "families": families, "netlink_audit": netlink_audit,
    "keyrings": keyrings, "bpf": bpf, "perf": perf, "userfaultfd": userfaultfd, "io_uring": io_uring, "kexec": kexec,
    "modules": modules, "clock": clock, "machine": machine, "kernel_log": kernel_log, "fanotify": fanotify,
    "capabilities": capabilities, "become_root": become_root, "setuid_programs": setuid_programs, "sudo": sudo,
    "id_maps": id_maps, "oom_below_zero": oom_below_zero, "tty": tty,
    "ptrace_server": lambda: ptrace(servers()), "ptrace_init": lambda: ptrace([1]), "ptrace_bus": lambda: ptrace(bus()),
    "vm_server": lambda: process_vm(servers()), "vm_init": lambda: process_vm([1]),
    "getfd_server": lambda: pidfd_getfd(servers()), "getfd_init": lambda: pidfd_getfd([1]),
    "proc_server": lambda: proc_files(servers()), "proc_init": lambda: proc_files([1]),
    "limits_server": lambda: limits_of(servers()),
    "stop_server": lambda: server_signal(signal.SIGSTOP), "kill_server": lambda: server_signal(signal.SIGKILL),
    "dump_server": lambda: server_signal(signal.SIGQUIT),
}  # fmt: skip


def main():
    """Try in a child, which a filter may kill, or which may be changed for good."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        signal.alarm(60)
        try:
            found = {"ok": True, "said": ATTEMPTS[sys.argv[1]]()}
        except Refused as refused:
            found = {"ok": False, "said": str(refused)}
        except OSError as error:
            found = {"ok": False, "said": f"{error.strerror or error}"}
        os.write(write, json.dumps(found).encode()[:60000])
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        said = pipe.read()
    status = os.waitpid(pid, 0)[1]
    if not said and os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGSYS, signal.SIGSEGV, signal.SIGKILL):
        said = json.dumps({"ok": False, "said": f"ended by signal {os.WTERMSIG(status)}"}).encode()
    print(said.decode())


if __name__ == "__main__":
    main()
