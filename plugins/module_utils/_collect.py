# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What there is of a job that has ended, brought home: results, metrics, log.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import json
from typing import Any, Iterable, NamedTuple

from ansible_collections.ibm_quantum.platform.plugins.module_utils import _tags
from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import ApiError, OptionError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._jobs import (
    COMPLETED,
    FAILED,
    Job,
    Jobs,
    is_pending,
    status,
)
from ansible_collections.ibm_quantum.platform.plugins.module_utils._module import ModuleLike
from ansible_collections.ibm_quantum.platform.plugins.module_utils._result_file import ResultFile
from ansible_collections.ibm_quantum.platform.plugins.module_utils._results import ResultError, decode

#: How results come into a task's result.
RESULTS = ["decoded", "raw", "none"]
#: What else there is of a job; each is a request.
DETAILS = ["metrics", "logs", "params"]

_TRIES = 3


class Wanted(NamedTuple):
    """What to bring home of a job. ``results`` is one of RESULTS, ``details`` some of DETAILS."""

    results: str = "none"
    details: Iterable[str] = ()
    file: ResultFile | None = None
    fresh: bool = False  # whether the file cannot hold them yet, as the job was just submitted


def named(job: Job) -> Job:
    """A job with its name, where it has one, and with its users' tags apart from those of this collection."""
    tags = list(job.get("tags") or [])
    names = [tag[len(_tags.JOB) :] for tag in tags if tag.startswith(_tags.JOB)]
    name = next((name for name in names if not name.startswith("sha256:")), None)
    sessions = [tag[len(_tags.SESSION) :] for tag in tags if tag.startswith(_tags.SESSION)]
    extra = {**({"name": name} if name else {}), **({"session": sessions[0]} if sessions else {})}
    return {**job, **extra, "tags": _tags.of_users(tags)}


class Collector:
    """Brings jobs home. Raises ApiError and OptionError."""

    def __init__(self, module: ModuleLike, jobs: Jobs) -> None:
        self._module, self._jobs = module, jobs
        self.changed = False  # whether a file was written
        self.lost: list[str] = []  # private jobs whose results IBM has no more

    def bring(self, job: Job, wanted: Wanted) -> Job:
        """The job, with what is wanted under the names ``results``, ``result_file``, ``metrics``, ``logs``, ``params``.

        Of a job that goes on there are no results and no log yet.
        """
        found: Job = dict(named(job))
        if not is_pending(job) and (wanted.results != "none" or wanted.file):
            found.update(self._results(job, wanted))
        for detail in wanted.details:
            found[detail] = self._detail(job, detail)
        return found

    def _results(self, job: Job, wanted: Wanted) -> dict[str, Any]:
        none: dict[str, Any] = {} if wanted.results == "none" else {"results": []}
        if status(job) not in (COMPLETED, FAILED):
            return none
        if job.get("private") and wanted.file is None:
            self._module.warn(
                f"the results of the private job {job['id']} are left at IBM, which deletes them when they are read: "
                "give a file to save them in"
            )
            return {}
        text = self._saved(job, wanted.file, wanted.fresh)
        path = {"result_file": wanted.file.path} if wanted.file and text is not None else {}
        if status(job) == FAILED:
            return {**path, **none, "error_text": text or ""}
        if text is None or wanted.results == "none":
            return {**path, **none}
        text = _unwrapped(text)
        if wanted.results == "raw":
            return {**path, "results": _parsed(text)}
        try:
            return {**path, "results": decode(text)}
        except ResultError as error:  # what was read is kept all the same
            self._module.warn(
                f"the results of job {job['id']} cannot be decoded, so they are returned as they are: {error}"
            )
            return {**path, "results": _parsed(text)}

    def _saved(self, job: Job, file: ResultFile | None, fresh: bool) -> str | None:
        """The results, in the file where there is one; None where IBM has none.

        Those of a private job are read only if the file is not there yet, and written before anything else is done.
        """
        if job.get("private") and file:
            held = None if fresh else file.read()
            if held:
                return held
        if self._module.check_mode and file:
            text = None if job.get("private") else self._text(job)
            self.changed = self.changed or bool(job.get("private")) or (text is not None and file.read() != text)
            return text
        if file:
            file.prepare()
        text = self._text(job)
        if text is None and job.get("private") and status(job) == COMPLETED:
            self.lost.append(job["id"])
        if file and text is not None:
            self._save(job, file, text)
        return text

    def _save(self, job: Job, file: ResultFile, text: str) -> None:
        try:
            self.changed = file.save(text) or self.changed
        except OptionError as error:
            if not job.get("private"):  # else IBM has deleted them by now, and an error would lose them
                raise
            self._module.warn(f"the results of the private job {job['id']} are nowhere but in this result: {error}")

    def _text(self, job: Job) -> str | None:
        """The results of IBM; asked for again where they are cut off, which as text HTTP does not notice."""
        for _turn in range(_TRIES):
            try:
                text = self._jobs.results(job["id"])
            except ApiError as error:
                if job.get("private") and error.outcome_unknown:
                    error.remedy = (
                        "IBM deletes the results of a private job as it sends them, so they may be lost; run the task "
                        "again to see"
                    )
                raise
            if text is None or status(job) != COMPLETED or job.get("private") or _is_json(text):
                return text
        raise ApiError(
            f"the results of job {job['id']} are not whole JSON, {_TRIES} times",
            method="GET",
            url=f"/v1/jobs/{job['id']}/results",
            remedy="IBM keeps them: run the task again; a proxy that rewrites or cuts off answers also causes this",
        )

    def _detail(self, job: Job, detail: str) -> Any:
        if detail == "metrics":
            return self._jobs.metrics(job["id"])
        if detail == "logs":
            return "" if is_pending(job) else self._jobs.logs(job["id"])
        return (self._jobs.get(job["id"], params=True) or {}).get("params")


def why_lost(ids: list[str]) -> str:
    """What there is to say about private jobs whose results are gone."""
    which = f"the private job {ids[0]}" if len(ids) == 1 else f"the private jobs {', '.join(ids)}"
    return (
        f"IBM has no results of {which} any more: they were read before, or the answer with them was lost, and IBM "
        "deletes them as it sends them"
    )


def why_failed(job: Job) -> str:
    """The error of a job that ended otherwise than completed: IBM's reason, code and advice."""
    state = job.get("state") or {}
    reason = str(state.get("reason") or "").rstrip(".")
    code = f" (code {state['reason_code']})" if state.get("reason_code") else ""
    advice = f" IBM's advice: {state['reason_solution']}" if state.get("reason_solution") else ""
    if not reason and job.get("error_text"):
        reason = (str(job["error_text"]).strip().splitlines() or [""])[-1][:300]
    text = f"job {job['id']} on {job.get('backend')} ended as {job.get('status') or status(job)}"
    return f"{text}{': ' + reason if reason else ''}{code}.{advice}"


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _unwrapped(text: str) -> str:
    """Results out of the text in JSON that IBM's document has them in."""
    if not text.lstrip().startswith('"'):
        return text
    inner = json.loads(text) if _is_json(text) else text
    return inner if _is_json(inner) else text


def _parsed(text: str) -> Any:
    """Results as data, where they are JSON."""
    try:
        return json.loads(text)
    except ValueError:
        return text
