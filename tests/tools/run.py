# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``make check``, ``make test`` and their parts run: ``python -m tests.tools.run GROUP``.

Each step logs to .build/logs/STEP.log. The last line printed reads like pytest's totals.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any, Callable, Sequence

from tests.lab import system
from tests.tools import collection
from tests.tools.steps import Result, Runner, Step, summary
from tests.tools.venv import BUILD, ROOT

BIN = BUILD / "venv-test/bin"
CONTROLLER = f"{sys.version_info[0]}.{sys.version_info[1]}"
#: Pythons that the code must compile and import under, on hosts and on the controller.
TARGETS = ["3.8", "3.9", "3.10", "3.11", "3.12", "3.13"]
#: Each supported ansible-core with the Pythons that it runs on, and which of them `make test` tries: floor and newest.
MATRIX = {
    "2.17": ["3.10", "3.11", "3.12"],
    "2.18": ["3.11", "3.12", "3.13"],
    "2.19": ["3.11", "3.12", "3.13"],
    "2.20": ["3.12", "3.13", "3.14"],
    "2.21": ["3.13", "3.12", "3.14"],
}
ENDS = ["2.17", "2.21"]
#: The unit tests in which another ansible-core, or ansible-test's way of shipping modules, can make a difference.
#: ansible-test wants the slash at the end.
CORE_UNITS = [f"tests/unit/plugins/{kind}/" for kind in ("action", "callback", "filter", "lookup", "modules")]
#: The lab's tests in parts, each in a lab of its own, so that several can run at the same time.
FIREWALLS = [f"tests/lab/test_{name}.py" for name in ("providers", "killed", "dns", "scopes")]
CREDENTIALS = [
    f"tests/lab/test_{name}.py"
    for name in ("account", "consumers", "environment", "formats", "qiskit", "rotation", "untrusted")
]


def tool(name: str, *arguments: str) -> list[str]:
    """A command of the test environment."""
    return [str(BIN / name), *arguments]


def pytest(*arguments: str, python: Path = BIN / "python") -> list[str]:
    """A pytest run by one of the environments, from the root of the checkout."""
    return [str(python), "-m", "pytest", "-q", *arguments]


def holding_tests(*folders: str) -> list[str]:
    """Those of the folders that hold a test file."""
    return [folder for folder in folders if any((ROOT / folder).rglob("test_*.py"))]


def copied(name: str, *command: str, pythons: Path | None = None, **options: Any) -> Step:
    """A step that runs in its own copy of the collection, with a home folder under .build/."""
    where = BUILD / name

    def prepare() -> Sequence[str]:
        collection.copy(where)
        collection.prepare_home(BIN.parent / f"lib/python{CONTROLLER}/site-packages")
        return command

    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    env = {
        "HOME": str(collection.HOME),
        "PIP_CACHE_DIR": f"{cache}/pip",
        "ANSIBLE_CONFIG": str(collection.inside(where) / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(where),
    }
    if pythons:
        env["PATH"] = f"{pythons}:{BIN}:{os.environ['PATH']}"
    return Step(name, prepare=prepare, cwd=collection.inside(where), env=env, **options)


def lint() -> list[Step]:
    """All that reads the code without running it."""
    types = ["-p", "ansible_collections.ibm_quantum.platform.plugins", "-p", "tests"]
    return [
        copied("ansible-lint", *tool("ansible-lint", "--offline", "--nocolor")),
        Step("mypy", tool("mypy", *types), env={"MYPYPATH": str(ROOT / ".ansible/collections")}),
        Step("ruff", tool("ruff", "check", ".")),
        Step("format", tool("ruff", "format", "--check", ".")),
        Step("yamllint", tool("yamllint", "--strict", ".")),
        copied("licences", *tool("reuse", "lint", "--lines")),
        Step("changelog", tool("antsibull-changelog", "lint")),
    ]


def docs() -> list[Step]:
    """Documentation of every plugin and role: schema, markup, references."""
    options = ["--plugin-docs", "--validate-collection-refs", "self", "--disallow-unknown-collection-refs"]
    return [copied("docs", *tool("antsibull-docs", "lint-collection-docs", *options, "."))]


def build() -> list[Step]:
    """The tarball, and Galaxy's own check of it (its ansible-lint is left out: that is a step of its own)."""
    dist = BUILD / "dist"
    script = (
        f'rm -rf "{dist}" && "{BIN}/ansible-galaxy" collection build --output-path "{dist}" . && cd "{dist}"'
        f' && "{BIN}/python" -m galaxy_importer.main *.tar.gz'
    )
    step = copied("build", "sh", "-c", script)
    step.env["GALAXY_IMPORTER_RUN_ANSIBLE_LINT"] = "false"
    return [step]


def sanity() -> list[Step]:
    """ansible-test sanity for every target Python found; it has to be told where they are."""
    pythons, found = collection.link_pythons(TARGETS)
    missing = [version for version in TARGETS if version not in found]
    targets = [word for version in found for word in ("--target-python", version)]
    step = copied(
        "sanity",
        *tool("ansible-test", "sanity", "--color", "no", "--controller", f"origin:python=venv/{CONTROLLER}", *targets),
        pythons=pythons,
        remark=f"no Python {', '.join(missing)} here: not tried" if missing else "",
    )
    return [step]


def units() -> list[Step]:
    """Unit tests of the collection, the emulator and these tools: three processes for two cores, since many wait."""
    return [Step("units", pytest("-n", "3", "tests/unit", *holding_tests("tests/emulator", "tests/tools")))]


def ansible_units() -> list[Step]:
    """Unit tests the way that ansible-test runs them: each module as if shipped alone."""
    options = ["--color", "no", "--local", "--python", CONTROLLER]
    return [copied("ansible-units", *tool("ansible-test", "units", *options, *CORE_UNITS))]


def integration() -> list[Step]:
    """Whole playbooks against the emulator."""
    return [Step("integration", pytest("-n", "2", "--durations=12", "tests/integration"), timeout=1800)]


def clients() -> list[Step]:
    """IBM's own clients against the emulator, in an environment of their own."""
    return [
        Step("clients-venv", [sys.executable, "tests/tools/venv.py", "clients"], setup=True),
        Step("clients", pytest("tests/clients", python=BUILD / "venv-clients/bin/python"), after=("clients-venv",)),
    ]


def lab_missing() -> str | None:
    """Why the lab cannot run here, if so."""
    installable = shutil.which("apt-get") or not system.missing_packages()
    return system.why_not() or (None if installable else "the lab's packages are installed by apt-get only")


def lab_setup() -> list[Step]:
    """The lab's system packages and images: the slowest part of a first run, so it starts before all else."""
    lab = [str(BIN / "python"), "-m", "tests.lab"]
    return [
        Step("lab-packages", [*lab, "install"], skip=lab_missing, setup=True),
        Step("lab-images", [*lab, "images"], after=("lab-packages",), setup=True, timeout=1800),
    ]


def lab() -> list[Step]:
    """Real hosts in network namespaces: each lab takes some half of a core, since timers and boots are waited for."""
    rest = [word for name in (*FIREWALLS, *CREDENTIALS) for word in ("--ignore", name)]
    parts = {"lab-firewalls": FIREWALLS, "lab-credentials": CREDENTIALS, "lab": ["tests/lab", *rest]}
    options: dict[str, Any] = {"after": ("lab-images",), "timeout": 2400, "weight": 0.5}
    return [*lab_setup(), *(Step(name, pytest(*which), **options) for name, which in parts.items())]


def matrix(versions: Sequence[str] = tuple(MATRIX)) -> list[Step]:
    """Unit tests and the smoke playbooks under other versions of ansible-core, each on a Python that it runs on."""
    steps = []
    for core in versions:
        found = next(filter(None, map(collection.find_python, MATRIX[core])), None)
        name, wanted = f"matrix-{core}", " or ".join(MATRIX[core])
        reason = None if found else f"ansible-core {core} needs Python {wanted}: none here"
        made = [str(found), "tests/tools/venv.py", name]
        python = BUILD / f"venv-{name}/bin/python"
        tests = pytest("-n", "2", *CORE_UNITS, *holding_tests("tests/integration/smoke"), python=python)
        steps += [
            Step(f"{name}-venv", made, skip=partial(str, reason) if reason else lambda: None, setup=True),
            Step(name, tests, after=(f"{name}-venv",), env={"PATH": f"{python.parent}:{os.environ['PATH']}"}),
        ]
    return steps


def check() -> list[Step]:
    """What to run before each commit: the unit tests, which take longest, and the others beside them."""
    return [*units(), *lint(), *docs()]


def everything() -> list[Step]:
    """All of it, what takes longest first: two labs, or one, beside one of the others after another."""
    static = [*sanity(), *lint(), *docs(), *build()]
    return [*lab(), *static, *units(), *integration(), *clients(), *ansible_units(), *matrix(ENDS)]


GROUPS: dict[str, Callable[[], list[Step]]] = {
    "lint": lint,
    "docs": docs,
    "build": build,
    "sanity": sanity,
    "units": lambda: [*units(), *ansible_units()],
    "ansible-units": ansible_units,
    "integration": integration,
    "clients": clients,
    "lab": lab,
    "matrix": matrix,
    "check": check,
    "test": everything,
}


def lab_ran(results: Sequence[Result]) -> bool:
    """Whether a lab that LAB_REQUIRED=1 asks for passed a test."""
    wanted = os.environ.get("LAB_REQUIRED") == "1"
    labs = [result for result in results if result.step.name in ("lab", "lab-firewalls", "lab-credentials")]
    return not wanted or all(result.counts.get("passed") for result in labs)


def main(arguments: list[str]) -> int:
    """Run one group and print its summary; 0 when all is well."""
    if len(arguments) != 1 or arguments[0] not in GROUPS:
        print(f"usage: python -m tests.tools.run {'|'.join(GROUPS)}", file=sys.stderr)
        return 2
    # Ended from outside, the runner still ends its steps, each of which is a session of its own.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    os.chdir(ROOT)
    os.environ["PATH"] = f"{BIN}:{os.environ['PATH']}"
    # Where it is set, each of some hundred processes compiles anew what it imports from the checkout.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    start = time.monotonic()
    steps = GROUPS[arguments[0]]()
    results = Runner(BUILD / "logs", stream=len(steps) == 1).run(steps)
    text, good = summary(results, time.monotonic() - start)
    if not lab_ran(results):
        print("LAB_REQUIRED=1, but no lab test passed")
        good = False
    print(f"\n{text}")
    return 0 if good else 1


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
