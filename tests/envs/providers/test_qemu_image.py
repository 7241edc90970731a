"""The contents of a virtual machine's image, and the kernel's command line."""

import subprocess
from pathlib import Path

import pytest

from deskbench.envs.errors import UsageError
from deskbench.envs.providers.qemu.image import VmImage, find_image, first_files, load_order, packages, recipe_digest


def test_modules_are_loaded_behind_what_they_need() -> None:
    modules = {
        "virtio": b"..\0depends=virtio_ring\0retpoline=Y\0",
        "virtio_net": b"..\0depends=virtio,net_failover,virtio-ring\0",
        "virtio_ring": b"..\0depends=\0",
        "net_failover": b"..\0depends=built_in\0",
    }
    assert load_order(modules) == ["virtio_ring", "virtio", "net_failover", "virtio_net"]


def test_the_first_files_are_an_archive_with_the_server_and_no_answers(tmp_path: Path) -> None:
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "virtio.ko").write_bytes(b"\0depends=\0")
    (tmp_path / "busybox").write_bytes(b"busybox")
    archive = first_files(VmImage(tmp_path, "light", "", ""))
    assert archive == first_files(VmImage(tmp_path, "light", "", ""))
    unpacked = tmp_path / "unpacked"
    unpacked.mkdir()
    subprocess.run(["busybox", "cpio", "-i", "-d"], input=archive, cwd=unpacked, check=True, stderr=subprocess.DEVNULL)
    assert (unpacked / "init").stat().st_mode & 0o111
    assert (unpacked / "modules" / "10-virtio.ko").exists()
    assert (unpacked / "deskbench/deskbench/envs/server/machine.py").exists()
    assert (unpacked / "deskbench/mss/__init__.py").exists()
    assert sorted(path.name for path in (unpacked / "deskbench/deskbench").iterdir()) == ["envs"]


def test_an_image_that_is_not_there_or_of_other_packages_says_so(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"no virtual machine image light.*deskbench image build --vm --programs light"
    ):
        find_image(home=tmp_path)
    with pytest.raises(UsageError, match="unknown list of programs 'medium'; known lists: light, full"):
        find_image("medium", tmp_path)
    folder = tmp_path / "images" / "light"
    folder.mkdir(parents=True)
    (folder / "image.json").write_text('{"programs": "light", "recipe": "old", "digest": "sha256:0"}')
    with pytest.raises(UsageError, match="was built from other packages: rebuild it"):
        find_image(home=tmp_path)


def test_a_recipe_is_its_packages() -> None:
    assert {"xvfb", "openbox", "busybox-static"} <= set(packages("light")) < set(packages("full"))
    assert "bubblewrap" not in packages("light")
    assert recipe_digest("light") != recipe_digest("full")
