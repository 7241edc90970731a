"""Machines from a foreign disk: the QEMU command that starts them, and what happens if they answer or do not.

OSWorld's own disks (12 GB and more) are not available here. A disk whose boot sector prints a word takes their place.
"""

import struct
import subprocess
import zlib
from pathlib import Path

import pytest

from deskbench.envs.desktop import DesktopSpec
from deskbench.envs.errors import StartError, UsageError
from deskbench.envs.providers.qemu.machine import qemu_command
from deskbench.envs.providers.qemu.provider import BIOS_BOOT, ESP, FIRMWARE, QemuProvider, disk_plan, needs_uefi

pytestmark = [pytest.mark.desktop, pytest.mark.slow, pytest.mark.alone]

SAY = bytes.fromhex("be117c ba f803 ac 84c0 74 03 ee ebf8 f4 ebfd".replace(" ", ""))
"""mov si, message; mov dx, 0x3f8 (serial port); next: lodsb; test al, al; jz end; out dx, al; jmp next; end: hlt"""


def qcow2(folder: Path, content: bytes) -> Path:
    raw, disk = folder / "disk.raw", folder / "disk.qcow2"
    raw.write_bytes(content.ljust(4 * 2**20, b"\0"))
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(raw), str(disk)], check=True)
    return disk


def boot_sector(word: bytes) -> bytes:
    assert len(SAY) == 0x11
    return (SAY + word + b"\0").ljust(510, b"\0") + b"\x55\xaa"


def gpt(*types: bytes) -> bytes:
    entries = b"".join(kind.ljust(128, b"\0") for kind in types).ljust(128 * 128, b"\0")
    head = struct.pack(
        "<8sIII4xQQQQ16sQIII", b"EFI PART", 0x10000, 92, 0, 1, 8191, 34, 8100, b"disk", 2, 128, 128, zlib.crc32(entries)
    )
    return b"\0" * 512 + head.ljust(512, b"\0") + entries


@pytest.mark.parametrize(
    ("content", "uefi"),
    [
        (boot_sector(b"x"), False),
        (gpt(ESP), True),
        (gpt(b"linux root part", ESP), True),
        (gpt(BIOS_BOOT, ESP), False),
        (gpt(b"windows data"), False),
    ],
    ids=["master boot record", "UEFI", "UEFI second", "both", "data"],
)
def test_what_starts_a_disk_is_read_from_its_partitions(content: bytes, uefi: bool, tmp_path: Path) -> None:
    assert needs_uefi(qcow2(tmp_path, content)) is uefi


def test_a_machine_is_as_osworlds_provider_makes_it(tmp_path: Path) -> None:
    disk = qcow2(tmp_path, boot_sector(b"x"))
    line = " ".join(qemu_command(disk_plan(disk, network=False)))
    assert "user,id=net,restrict=on," in line
    for port in (5000, 9222, 8006, 8080):
        assert f"hostfwd=tcp:127.0.0.1:{port}-:{port}" in line
    assert f"file={disk},if=none,id=disk,cache=unsafe,snapshot=on" in line
    assert "-m 4096" in line and "usb-tablet" in line and "pflash" not in line
    assert "restrict=off" in " ".join(qemu_command(disk_plan(disk, network=True)))


def test_firmware_is_taken_where_it_is_or_asked_for(tmp_path: Path) -> None:
    disk = qcow2(tmp_path, gpt(ESP))
    code, variables = tmp_path / "CODE.fd", tmp_path / "VARS.fd"
    firmwares = ((code, variables), *FIRMWARE[2:])
    with pytest.raises(UsageError, match=r"needs UEFI to boot: apt-get install ovmf"):
        disk_plan(disk, network=False, firmwares=firmwares)
    code.touch()
    variables.touch()
    line = " ".join(qemu_command(disk_plan(disk, network=False, firmwares=firmwares)))
    assert f"if=pflash,format=raw,file={code},readonly=on" in line


def test_a_disk_is_booted_and_what_it_said_is_in_the_error(tmp_path: Path) -> None:
    disk = qcow2(tmp_path, boot_sector(b"hello from the boot sector\n"))
    before = disk.read_bytes()
    provider = QemuProvider(str(disk), disk_seconds=8.0)
    assert provider.describe()["disk"] == str(disk)
    with pytest.raises(
        StartError, match=r"(?s)no screenshot within 8 s; last: .*hello from the boot sector.*its screen: "
    ) as caught:
        provider.start(DesktopSpec())
    Path(str(caught.value).rpartition("(its screen: ")[2].rstrip(")")).unlink()
    assert disk.read_bytes() == before
    provider.close()


def test_what_is_no_disk_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere\.qcow2 is neither a file nor one of light, full"):
        QemuProvider(str(tmp_path / "nowhere.qcow2"))
    disk = qcow2(tmp_path, b"")
    with pytest.raises(UsageError, match="the whole network or none"):
        QemuProvider(str(disk)).start(DesktopSpec(network=("example.org",)))
    (tmp_path / "broken.qcow2").write_bytes(b"QFI\xfb" + b"\xff" * 600)
    with pytest.raises(UsageError, match=r"cannot read .* as a disk"):
        QemuProvider(str(tmp_path / "broken.qcow2")).start(DesktopSpec())
