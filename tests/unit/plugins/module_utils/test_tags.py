# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.ibm_quantum.platform.plugins.module_utils import _tags
from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import OptionError

OURS = ["ansible-job:bell", "ansible-content:" + "0" * 64, "ansible-session:night"]


def refused(function, *arguments):
    with pytest.raises(OptionError) as caught:
        function(*arguments)
    return str(caught.value)


def test_ours_and_those_of_users():
    tags = ["nightly", OURS[0], "ansible", OURS[1], "ansible-job", OURS[2]]
    assert _tags.of_ours(tags) == OURS
    assert _tags.of_users(tags) == ["nightly", "ansible", "ansible-job"]


def test_own_tags_come_first_and_each_once():
    assert _tags.checked(["b", "a", "b"], OURS) == [*OURS, "b", "a"]
    assert _tags.checked([], []) == []


def test_as_many_and_as_long_as_ibm_takes():
    tags = [f"{number}{'x' * 85}" for number in range(8)]
    assert _tags.checked(tags, []) == tags
    assert _tags.checked(tags[:5], OURS) == [*OURS, *tags[:5]]
    assert _tags.checked(tags[:5] * 2, OURS) == [*OURS, *tags[:5]]


@pytest.mark.parametrize("own", [0, 1, 2, 3])
def test_too_many(own):
    tags = [f"t{number}" for number in range(9 - own)]
    assert refused(_tags.checked, tags, OURS[:own]) == (
        f"'tags': {9 - own} are too many: IBM takes 8, {own} of them needed to find the job again"
    )


@pytest.mark.parametrize("tag", ["", "x" * 87])
def test_too_long_and_too_short(tag):
    text = refused(_tags.checked, ["good", tag], [])
    assert text.startswith(f"'tags': IBM takes tags of 1 to 86 characters, not the {len(tag)} of ")
    assert len(text) < 120


@pytest.mark.parametrize("tag", OURS)
def test_tags_that_look_like_ours(tag):
    assert refused(_tags.checked, [tag], []) == (
        f"'tags': {tag!r} begins like the tags by which this collection finds its own jobs"
    )


@pytest.mark.parametrize(
    "prefix, longest", [(_tags.JOB, _tags.LONGEST_NAME), (_tags.SESSION, _tags.LONGEST_SESSION_NAME)]
)
def test_names(prefix, longest):
    name = "n" * longest
    assert _tags.checked_name("name", name, longest) == name
    assert len(prefix + name) == 86
    for bad in (name + "n", "", "   "):
        assert refused(_tags.checked_name, "name", bad, longest) == (
            f"'name' must have 1 to {longest} characters: it is kept in one of IBM's tags"
        )


def test_as_long_as_the_documentation_says():
    assert (_tags.LONGEST_NAME, _tags.LONGEST_SESSION_NAME) == (74, 70)


def test_a_name_that_looks_like_a_digest():
    assert refused(_tags.checked_name, "session", "sha256:0", 70) == (
        "'session' must not begin with 'sha256:': so begin the keys of jobs without a name"
    )
    assert _tags.checked_name("name", "a sha256:0", 74) == "a sha256:0"
