"""The builder that stays: fast because it is there, replaced when it dies, gone when we are."""

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

from livecart.core.errors import SettingsError
from livecart.shop import service
from livecart.shop.errors import PublishError
from livecart.shop.publish import builder as builders
from livecart.shop.publish.builder import BuildCommand, ResidentBuilder
from livecart.shop.service import builder_of
from livecart.shop.settings import CatalogSettings
from tests.shop.test_publish import ROOT, command, wait_for

RESIDENT = Path(__file__).with_name("resident_builder.py")


class Workshop:
    def __init__(self, folder: Path):
        self.folder, self.output, self.log = folder / "catalog", folder / "made.snapshot", folder / "runs"
        self.folder.mkdir()
        self.write("1")
        self.builders = []

    def write(self, *skus):
        products = [{"sku": sku, "photos": []} for sku in skus]
        (self.folder / "catalog.json").write_text(json.dumps({"products": products}))

    def builder(self, mode="", plain=None, **options):
        program = [sys.executable, str(RESIDENT), str(self.log), mode]
        self.builders.append(ResidentBuilder(plain or command(), program, **options))
        return self.builders[-1]

    def build(self, builder, *skus, stop=lambda: False):
        self.write(*skus)
        builder.run(self.folder, self.output, stop=stop)
        return json.loads(self.output.read_text())["skus"]

    def runs(self):
        return [int(pid) for pid in self.log.read_text().split()]


@pytest.fixture
def workshop(tmp_path):
    made = Workshop(tmp_path)
    yield made
    for builder in made.builders:
        builder.close()


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_one_program_builds_again_and_again(workshop):
    builder = workshop.builder()
    builder.warm_up()
    assert [workshop.build(builder, *"12"[: n + 1]) for n in range(2)] == [["1"], ["1", "2"]]
    (pid,) = workshop.runs()
    assert is_running(pid)
    builder.close()
    assert not is_running(pid)
    assert builder.fallbacks == 0


def test_a_mistake_in_the_catalog_is_told_and_the_program_stays(workshop):
    builder = workshop.builder()
    workshop.build(builder, "1")
    (workshop.folder / "catalog.json").write_text("no JSON")
    with pytest.raises(PublishError, match="JSONDecodeError"):
        builder.run(workshop.folder, workshop.output, stop=lambda: False)
    assert workshop.build(builder, "2") == ["2"]
    assert (len(workshop.runs()), builder.fallbacks) == (1, 0)


@pytest.mark.parametrize("mode", ["die", "mad"])
def test_when_it_fails_the_plain_command_builds_and_after_three_times_it_rests(workshop, mode):
    builder = workshop.builder(mode, rest_s=600)
    for number in range(5):
        assert workshop.build(builder, str(number)) == [str(number)]
    assert len(workshop.runs()) == 3
    assert builder.fallbacks == 5


@pytest.mark.parametrize(("mode", "runs", "fallbacks"), [("die-once", 2, 1), ("leave", 3, 0)])
def test_after_one_end_a_new_one_works(workshop, mode, runs, fallbacks):
    builder = workshop.builder(mode)
    for sku in "123":
        assert workshop.build(builder, sku) == [sku]
    assert (len(workshop.runs()), builder.fallbacks) == (runs, fallbacks)
    os.kill(workshop.runs()[-1], 9)
    wait_for(lambda: builder._program.process.poll() is not None)
    assert workshop.build(builder, "4") == ["4"]
    assert (len(workshop.runs()), builder.fallbacks) == (runs + 1, fallbacks)


def test_it_is_killed_when_it_takes_too_long_or_is_not_wanted(workshop):
    builder = workshop.builder("hang", limit_s=1.0)
    with pytest.raises(PublishError, match="too long"):
        workshop.build(builder, "1")
    asked = []
    with pytest.raises(PublishError, match="stopped"):
        workshop.build(builder, "1", stop=lambda: asked.append(1) or len(asked) > 5)
    assert not any(is_running(pid) for pid in workshop.runs())


def test_it_builds_where_more_than_a_thousand_descriptors_are_open(workshop):
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, limits[1]), limits[1]))
    held = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    try:
        builder = workshop.builder()
        assert workshop.build(builder, "1") == ["1"]
        assert builder.fallbacks == 0
    finally:
        for descriptor in held:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_a_fault_of_ours_counts_as_its_death_and_so_does_no_start(workshop, monkeypatch):
    absent = ResidentBuilder(command(), ["/nowhere/at/all"])
    absent.warm_up()
    assert workshop.build(absent, "1") == ["1"]
    absent.close()
    monkeypatch.setattr(builders, "_decoded", lambda _: 1 / 0)
    builder = workshop.builder()
    assert workshop.build(builder, "1") == ["1"]
    assert builder.fallbacks == 1


def test_it_ends_with_us_even_if_we_are_killed(workshop, tmp_path):
    code = (
        "import sys, time; from pathlib import Path\n"
        "from livecart.shop.publish.builder import ResidentBuilder\n"
        "from tests.shop.test_publish import command\n"
        "ResidentBuilder(command(), [sys.executable, *sys.argv[1:]]).warm_up(); time.sleep(600)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(RESIDENT), str(workshop.log)], cwd=ROOT)
    wait_for(lambda: workshop.log.exists() and workshop.runs())
    process.kill()
    process.wait()
    wait_for(lambda: not is_running(workshop.runs()[0]))


def test_the_projects_own_is_loaded_once_and_clears_up_when_it_is_told_to_end(workshop, archive, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    program = [sys.executable, str(ROOT / "scripts" / "build_catalog.py"), "--serve", "--archive", str(archive)]
    builder = ResidentBuilder(BuildCommand(["/nowhere", "{folder}", "{output}"]), program)
    try:
        times = []
        for number in range(2):
            product = {"sku": str(number), "name": f"商品{number}", "url": "https://shop.example.com/1"}
            (workshop.folder / "catalog.json").write_text(json.dumps({"schema": 1, "products": [product]}))
            began_s = time.monotonic()
            builder.run(workshop.folder, workshop.output, stop=lambda: False)
            times.append(time.monotonic() - began_s)
        assert workshop.output.stat().st_size > 1000
        assert times[1] < times[0] / 2
        (workshop.folder / "catalog.json").write_text("{}")
        with pytest.raises(PublishError, match="schema"):
            builder.run(workshop.folder, workshop.output, stop=lambda: False)
        assert list((tmp_path / "temporary").glob("livecart-catalog-*"))
        builder._program.process.terminate()
        assert builder._program.process.wait(30) == 143
    finally:
        builder.close()
    assert not list((tmp_path / "temporary").glob("livecart-catalog-*"))


# Ends at once and says what it was called with: the real one needs the recogniser's packages.
_SAYS_ITS_ARGUMENTS = (sys.executable, "-c", "import sys; sys.exit(' '.join(sys.argv))", "{folder}", "{output}")


def test_the_archive_of_the_settings_is_the_one_that_embeds(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(service, "DEFAULT_COMMAND", (*_SAYS_ITS_ARGUMENTS, "plain"))
    monkeypatch.setattr(service, "RESIDENT_COMMAND", (*_SAYS_ITS_ARGUMENTS[:3], "resident"))
    builder = builder_of(CatalogSettings(archive=str(tmp_path / "other.mar")))
    try:
        with pytest.raises(PublishError, match=r"plain --archive \S*other\.mar"):
            builder.run(tmp_path, tmp_path / "out.snapshot", stop=lambda: False)
    finally:
        builder.close()
    assert f"resident --archive {tmp_path / 'other.mar'}" in capfd.readouterr().err


def test_a_command_of_ones_own_names_its_archive_itself():
    with pytest.raises(SettingsError, match="build_command"):
        CatalogSettings(build_command=("b", "{folder}", "{output}"), archive="other.mar")
