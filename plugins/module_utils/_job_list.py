# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The jobs of one task of the module ``job``, one or many: all checked, then submitted, waited for and brought home.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import os
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.ibm_quantum.platform.plugins.module_utils import _tally
from ansible_collections.ibm_quantum.platform.plugins.module_utils._backends import CHOICE_SPEC
from ansible_collections.ibm_quantum.platform.plugins.module_utils._client import Client
from ansible_collections.ibm_quantum.platform.plugins.module_utils._collect import (
    Collector,
    Wanted,
    named,
    why_failed,
    why_lost,
)
from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import ApiError, OptionError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._job import ONE_JOB, Declared, JobTask, Outcome
from ansible_collections.ibm_quantum.platform.plugins.module_utils._jobs import COMPLETED, Job, is_pending, status
from ansible_collections.ibm_quantum.platform.plugins.module_utils._module import ModuleLike
from ansible_collections.ibm_quantum.platform.plugins.module_utils._options import between
from ansible_collections.ibm_quantum.platform.plugins.module_utils._resource import diff
from ansible_collections.ibm_quantum.platform.plugins.module_utils._result_file import ResultFile
from ansible_collections.ibm_quantum.platform.plugins.module_utils._waiting import (
    LONGEST_TIMEOUT,
    Waiter,
    took_too_long,
)

_OF_ONE = {**ONE_JOB, **CHOICE_SPEC}


def run_all(module: ModuleLike) -> dict[str, Any]:
    """The result of a task of the module ``job``. Raises OptionError with nothing sent, and ApiError for one job."""
    declared = _declared(module.params)
    _check(module.params, declared)
    return _Run(module, declared).result()


def _declared(params: dict[str, Any]) -> list[Declared]:
    if params["jobs"] is None:
        return [Declared(params)]
    if not params["jobs"]:
        raise OptionError("'jobs' is empty: give at least one job")
    shared = ("name", "id", "result_file")
    given = [name for name in shared if params[name] is not None]
    if given:
        raise OptionError(f"{given[0]!r} is of one job: write it into the elements of 'jobs'")
    return [_element(params, row, number) for number, row in enumerate(params["jobs"], 1)]


def _element(params: dict[str, Any], row: dict[str, Any], number: int) -> Declared:
    """An element of ``jobs`` over the options of the task."""
    validated = ArgumentSpecValidator(_OF_ONE).validate(row)
    where = f"'jobs', element {number}"
    if validated.error_messages:
        raise OptionError(f"{where}: {'; '.join(validated.error_messages)}")
    own = {name: value for name, value in validated.validated_parameters.items() if name in row}
    try:
        return Declared({**params, **_without_rivals(params, own)})
    except OptionError as error:
        raise OptionError(f"{where}: {error}") from None


def _without_rivals(params: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """An element's options; what it says in one way is not said in another way by the task."""
    rivals = (
        ("circuit", "circuit_file", "pubs", "params"),
        ("session", "session_id"),
        *[("backend", name) for name in CHOICE_SPEC],
    )
    hidden = {name for group in rivals if set(group) & set(own) for name in group}
    return {**{name: None for name in hidden if params[name] is not None}, **own}


def _check(params: dict[str, Any], declared: list[Declared]) -> None:
    between(params, "submit_timeout", 0, LONGEST_TIMEOUT, "seconds")
    between(params, "wait_timeout", 1, LONGEST_TIMEOUT, "seconds")
    if params["wait"] and params["state"] != "present":
        raise OptionError(f"'wait' is for 'state: present': {params['state']!r} is reached at once")
    keys = [one.id or one.key for one in declared]
    for number, key in enumerate(keys):
        if key in keys[:number]:
            first = keys.index(key) + 1
            raise OptionError(f"'jobs', elements {first} and {number + 1} are the same job: give them different names")
    files = [os.path.abspath(one.options["result_file"]) for one in declared if one.options["result_file"]]
    for path in {path for path in files if files.count(path) > 1}:
        raise OptionError(f"'result_file': several jobs would write to {path}: give each its own")
    for one in declared:
        if one.options["private"] and params["wait"] and not one.options["result_file"]:
            raise OptionError("'result_file' is needed for a private job: IBM deletes its results when they are read")


class _Run:
    """One run of the task."""

    def __init__(self, module: ModuleLike, declared: list[Declared]) -> None:
        self._module, self._params, self._declared = module, module.params, declared
        self._client = Client(module)
        self._task = JobTask(module, self._client, module.params["submit_timeout"])
        self._collector = Collector(module, self._task.jobs)
        self._outcomes: list[Outcome] = []
        self._seen: dict[str, Job] | None = None

    def result(self) -> dict[str, Any]:
        if self._params["wait"] and not self._module.check_mode:
            for path in filter(None, (one.options["result_file"] for one in self._declared)):
                ResultFile(path).prepare()  # before QPU time is spent on what then could not be saved
        try:
            self._each()
            if self._params["wait"]:
                self._wait()
            rows = self._rows()
        except (ApiError, OptionError) as error:
            if not self._outcomes and self._params["jobs"] is None:
                raise
            told = error.as_result() if isinstance(error, ApiError) else {"msg": str(error)}
            return {**self._answer([self._row(outcome) for outcome in self._outcomes]), **told, "failed": True}
        answer = self._answer(rows)
        if self._params["wait"]:
            answer.update(self._failure(rows))
        return answer

    def _each(self) -> None:
        """Bring every job to its state. The error of one of several says which."""
        work = {"present": self._task.present, "cancelled": self._task.cancelled, "absent": self._task.absent}
        for number, one in enumerate(self._declared, 1):
            try:
                self._outcomes.append(work[self._params["state"]](one))
            except ApiError as error:
                error.message = f"{self._which(number, one)}{error.message}"
                raise
            except OptionError as error:
                raise OptionError(f"{self._which(number, one)}{error}") from None

    def _which(self, number: int, one: Declared) -> str:
        if self._params["jobs"] is None:
            return ""
        return f"'jobs', element {number} ({one.label}): "

    def _wait(self) -> None:
        jobs = self._task.jobs
        found = [outcome.job for outcome in self._outcomes if outcome.job is not None]
        waiter = Waiter(jobs, self._params["wait_timeout"], self._module.progress, self._client.http.sleep)
        if not self._module.check_mode:
            self._seen = waiter.wait(found)

    def _rows(self) -> list[Job]:
        rows = []
        for one, outcome in zip(self._declared, self._outcomes):
            job = self._current(outcome)
            if job is None:
                continue
            if outcome.submitted:
                _tally.seen(job)
            if self._params["state"] != "present":
                rows.append(named(job))
                continue
            path = one.options["result_file"]
            wanted = Wanted(
                self._params["results"],
                self._params["details"],
                ResultFile(path) if path and not is_pending(job) else None,
                outcome.submitted,
            )
            rows.append(self._collector.bring(job, wanted))
        return rows

    def _current(self, outcome: Outcome) -> Job | None:
        if outcome.job is None or self._seen is None:
            return outcome.job
        return self._seen.get(outcome.job["id"])

    def _row(self, outcome: Outcome) -> Job:
        job = self._current(outcome)
        return named(job) if job else {}

    def _answer(self, rows: list[Job]) -> dict[str, Any]:
        """The result so far, for one job or for several."""
        changed = [outcome for outcome in self._outcomes if outcome.changed]
        answer: dict[str, Any] = {"changed": bool(changed) or self._collector.changed}
        if self._params["state"] == "present":
            answer["submitted"] = sum(outcome.submitted for outcome in self._outcomes)
        if self._params["jobs"] is None:
            if rows and rows[0]:
                answer["job"] = rows[0]
            shown = self._outcomes[0] if self._outcomes else Outcome(None, False, {}, {})
            answer["diff"] = diff(shown.before, shown.after, self._declared[0].label)
            return answer
        answer["jobs"] = [row for row in rows if row]
        labels = [one.label for one in self._declared]
        before = {label: outcome.before for label, outcome in zip(labels, self._outcomes) if outcome.changed}
        after = {label: outcome.after for label, outcome in zip(labels, self._outcomes) if outcome.changed}
        answer["diff"] = diff(before, after, "jobs")
        return answer

    def _failure(self, rows: list[Job]) -> dict[str, Any]:
        """What makes a task that waited fail: jobs that took too long, and such as did not complete."""
        late = [job for job in rows if is_pending(job)]
        if self._module.check_mode:
            return {}
        bad = [job for job in rows if not is_pending(job) and status(job) != COMPLETED]
        gone = sum(outcome.job is not None for outcome in self._outcomes) - len(rows)
        texts = [f"{text[0].upper()}{text[1:]}" for text in map(why_failed, bad[:3])]
        if len(bad) > 3:
            texts.append(f"{len(bad) - 3} more of the {len(rows)} jobs did not complete.")
        if self._collector.lost:
            texts.append(f"{why_lost(self._collector.lost)}. 'resubmit: always' runs the job again.")
        if late:
            text = took_too_long(late, self._params["wait_timeout"])
            texts.append(f"{text[0].upper()}{text[1:]}")
        if gone:
            texts.append(f"{gone} of the jobs were deleted by somebody else while this task waited.")
        return {"failed": True, "msg": " ".join(texts)} if texts else {}
