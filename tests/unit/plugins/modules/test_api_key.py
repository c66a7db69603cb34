# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from requests.exceptions import ConnectionError as Broken
from requests.exceptions import ReadTimeout

from ansible_collections.ibm_quantum.platform.plugins.module_utils import _api_key
from ansible_collections.ibm_quantum.platform.plugins.module_utils._module import outcome
from ansible_collections.ibm_quantum.platform.plugins.modules import api_key
from ansible_collections.ibm_quantum.platform.tests.unit.plugins.keys import (
    AT,
    IAM_ID,
    ID,
    LOCKED,
    NOT_FOUND,
    OTHER_ID,
    STALE,
    URL,
    VALUE,
    details,
    gets,
    identity_error,
    key,
    lists,
    made,
    own,
    puts,
)
from ansible_collections.ibm_quantum.platform.tests.unit.scripted import (
    ACCOUNT,
    API_KEY,
    TOKEN,
    Module,
    jwt,
    token_reply,
)

TAKEN = {"status": 204}


@pytest.fixture(autouse=True)
def _fixed_value(monkeypatch):
    monkeypatch.setattr(_api_key, "new_value", lambda: VALUE)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "fleet.key"


def secret(path, text=VALUE + "\n"):
    path.touch(mode=0o600)
    path.write_text(text)
    return path


def run(**options):
    module = Module(api_key.ARGUMENT_SPEC, **{"api_key": API_KEY, **options})
    result = outcome(api_key.run, module)
    assert API_KEY not in str(result)
    assert VALUE not in str({**result, "value": ""}), "a value is in 'value' or nowhere"
    assert VALUE not in str(module.warnings)
    return result, module


def failed(**options):
    result, _module = run(**options)
    assert result.get("failed"), result
    return result["msg"]


# Making keys


def test_made(ibm):
    ibm.exchange()
    lists(ibm, key(name="other", id=OTHER_ID))
    made(ibm)
    result, module = run(name="fleet")
    assert (result["changed"], result["value"], result["api_key"]) == (True, VALUE, key())
    assert result["diff"]["before"] == {}
    assert result["diff"]["after"]["name"] == "fleet"
    assert VALUE not in module.no_log_values  # the value must come through to register
    assert not module.warnings


def test_made_with_everything(ibm):
    ibm.exchange()
    lists(ibm)
    fields = {
        "description": "d",
        "expires_at": "2099-01-31T11:00+0000",
        "support_sessions": True,
        "action_when_leaked": "disable",
    }
    made(ibm, {"Entity-Lock": "true", "Entity-Disable": "true"}, fields)
    asked = {**fields, "expires_at": "2099-01-31T12:00:59+01:00"}
    assert run(name="fleet", locked=True, disabled=True, **asked)[0]["changed"]


def test_made_for_some_seconds(ibm, monkeypatch):
    monkeypatch.setattr(_api_key, "timestamp_in", lambda seconds, now: f"{2000 + seconds}-01-01T00:00+0000")
    ibm.exchange()
    lists(ibm)
    made(ibm, fields={"expires_at": "2099-01-01T00:00+0000"})
    assert run(name="fleet", expires_in=99)[0]["changed"]


def test_made_for_another_identity(ibm):
    ibm.exchange()
    service, account = "iam-ServiceId-1", "f" * 32
    ibm.cloud("GET", URL, query={"pagesize": 100, "account_id": account, "iam_id": service}, reply={"apikeys": []})
    made(ibm, fields={"iam_id": service, "account_id": account})
    assert run(name="fleet", iam_id=service, account_id=account)[0]["api_key"]["iam_id"] == service


@pytest.mark.parametrize("token", ["opaque", jwt(iam_id=IAM_ID), jwt(account={"bss": ACCOUNT}), jwt(account="x")])
def test_a_token_that_does_not_tell_whose_it_is(ibm, token):
    ibm.exchange(reply=token_reply(token))
    details(ibm, API_KEY, key(id=OTHER_ID), token=token)
    lists(ibm, key(), token=token)
    assert run(name="fleet")[0]["changed"] is False


def test_nobody_tells_whose_the_token_is(ibm):
    ibm.exchange(reply=token_reply("opaque"))
    details(ibm, API_KEY, None, token="opaque")
    assert failed(name="fleet") == "the token does not tell whose it is: give 'iam_id' and 'account_id'"


def test_where_it_is_said_nobody_is_asked(ibm):
    ibm.exchange(reply=token_reply("opaque"))
    lists(ibm, key(), token="opaque")
    assert run(name="fleet", iam_id=IAM_ID, account_id=ACCOUNT)[0]["changed"] is False


@pytest.mark.parametrize("flag", [{}, {"locked": True, "disabled": True}])
def test_check_mode_makes_nothing(ibm, flag):
    ibm.exchange()
    lists(ibm)
    result, _module = run(name="fleet", description="d", check_mode=True, **flag)
    assert result["changed"] and "value" not in result
    flags = {name: bool(flag) for name in ("locked", "disabled")}
    assert result["api_key"] == {"name": "fleet", "iam_id": IAM_ID, "account_id": ACCOUNT, "description": "d", **flags}


@pytest.mark.parametrize("lost", [{"fails": ReadTimeout()}, {"fails": Broken()}, {"status": 502}, {"reply": "<html>"}])
@pytest.mark.parametrize("there", [True, False])
def test_a_lost_answer_is_settled_by_looking_for_the_value(ibm, lost, there):
    ibm.exchange()
    lists(ibm)
    made(ibm, **lost)
    details(ibm, VALUE, key() if there else None)
    result, module = run(name="fleet")
    if there:
        assert (result["value"], result["api_key"]["id"]) == (VALUE, ID)
        assert module.warnings[0].startswith("the answer was lost, but the call took effect: ")
    else:
        assert result["msg"].endswith("It did not take effect: run the task again.")
        assert result["error"]["outcome_unknown"] is False


def test_a_lost_answer_and_nothing_can_be_read(ibm):
    ibm.exchange()
    lists(ibm)
    made(ibm, fails=Broken())
    ibm.cloud("GET", f"{URL}/details", headers={"IAM-ApiKey": VALUE}, status=403, reply=identity_error("X", "no"))
    result, _module = run(name="fleet")
    assert result["error"]["outcome_unknown"] is True
    assert "the connection broke" in result["msg"]


def test_too_many_requests_are_repeated(ibm, naps):
    ibm.exchange()
    lists(ibm)
    made(ibm, status=429, reply_headers={"Retry-After": "7"})
    made(ibm)
    assert run(name="fleet")[0]["changed"]
    assert naps == [7.0]


def test_an_account_that_restricts_who_makes_keys(ibm):
    ibm.exchange()
    lists(ibm)
    made(ibm, status=403, reply=identity_error("BXNIM0513E", "You are not authorized."))
    assert "restrict_create_platform_apikey" in failed(name="fleet")


# Changing keys


def test_present_already(ibm):
    ibm.exchange()
    lists(ibm, key(), key(id=OTHER_ID, name="fleet2"))
    result, _module = run(name="fleet")
    assert (result["changed"], result["api_key"], "value" in result) == (False, key(), False)
    assert result["diff"]["before"] == result["diff"]["after"]


@pytest.mark.parametrize(
    "present, asked",
    [
        ({"description": "d"}, {"description": "d"}),
        ({}, {"description": "", "expires_at": ""}),
        (
            {"support_sessions": None, "action_when_leaked": None},
            {"support_sessions": False, "action_when_leaked": "none"},
        ),
        ({"locked": True}, {"locked": True, "disabled": False}),
        ({"locked": True, "disabled": True}, {"disabled": True}),
        ({"expires_at": "2099-01-31T12:00+0000"}, {"expires_at": "2099-01-31T14:00:30.123+02:00"}),
        ({"expires_at": "2099-01-31T12:00+0000"}, {"expires_at": "2099-01-31 12:00:00"}),
        ({"expires_at": "2099-01-31T12:00Z"}, {"expires_at": "2099-01-31T12:00+0000"}),
        ({"expires_at": "2099-01-31T00:00+0000"}, {"expires_at": "2099-01-31"}),
        ({"expires_at": "2099-01-31T12:00+0000"}, {"expires_in": 60}),
    ],
)
def test_nothing_to_change(ibm, present, asked):
    ibm.exchange()
    lists(ibm, key(**present))
    assert run(name="fleet", **asked)[0]["changed"] is False


@pytest.mark.parametrize(
    "present, asked, sent",
    [
        ({}, {"description": "d", "support_sessions": False}, {"description": "d"}),
        ({"description": "d"}, {"description": ""}, {"description": ""}),
        ({"expires_at": "2099-01-31T12:00+0000"}, {"expires_at": ""}, {"expires_at": ""}),
        ({}, {"expires_at": "2099-02-01T00:00:00Z"}, {"expires_at": "2099-02-01T00:00+0000"}),
        ({}, {"action_when_leaked": "delete", "support_sessions": True}, None),
    ],
)
@pytest.mark.parametrize("check_mode", [True, False])
def test_only_what_differs_is_sent(ibm, present, asked, sent, check_mode):
    ibm.exchange()
    lists(ibm, key(**present))
    if not check_mode:
        puts(ibm, sent or asked)
    result, _module = run(name="fleet", check_mode=check_mode, **asked)
    assert result["changed"]
    assert result["api_key"]["name"] == "fleet"
    differing = {
        name for name in result["diff"]["after"] if result["diff"]["after"][name] != result["diff"]["before"][name]
    }
    assert differing == set(sent or asked)


def test_renamed_by_id(ibm):
    ibm.exchange()
    gets(ibm, key(name="old"))
    puts(ibm, {"name": "fleet"})
    assert run(id=ID, name="fleet")[0]["api_key"]["name"] == "fleet"


def test_an_id_that_is_not_there(ibm):
    ibm.exchange()
    gets(ibm, None)
    assert failed(id=ID) == f"'id': there is no API key {ID}: leave 'id' out to make one"


def test_changed_by_somebody_else_meanwhile(ibm):
    ibm.exchange()
    lists(ibm, key())
    puts(ibm, {"description": "d"}, **STALE)
    gets(ibm, key(entity_tag="7-b", expires_at="2099-01-31T12:00+0000"))
    puts(ibm, {"description": "d"}, "7-b")
    assert run(name="fleet", description="d")[0]["changed"]


def test_changed_by_somebody_else_again_and_again(ibm):
    ibm.exchange()
    lists(ibm, key())
    puts(ibm, {"description": "d"}, **STALE)
    gets(ibm, key(entity_tag="7-b"))
    puts(ibm, {"description": "d"}, "7-b", **STALE)
    gets(ibm, key(entity_tag="8-b"))
    assert "The entity tag does not match" in failed(name="fleet", description="d")


@pytest.mark.parametrize("now, done", [({"description": "d"}, True), ({}, False), (None, False)])
def test_the_lost_answer_of_an_update(ibm, now, done):
    ibm.exchange()
    lists(ibm, key())
    puts(ibm, {"description": "d"}, fails=Broken())
    gets(ibm, key(entity_tag="2-a", **now) if now is not None else None)
    result, module = run(name="fleet", description="d", retries=0)
    assert bool(result.get("changed")) is done
    assert len(module.warnings) == done


def test_a_repeated_update_meets_its_own_effect(ibm):
    ibm.exchange()
    lists(ibm, key())
    puts(ibm, {"description": "d"}, fails=Broken())
    puts(ibm, {"description": "d"}, **STALE)
    gets(ibm, key(entity_tag="2-a", description="d"))
    result, module = run(name="fleet", description="d")
    assert (result["changed"], module.warnings) == (True, [])


@pytest.mark.parametrize(
    "option, field, method",
    [("locked", "lock", "POST"), ("disabled", "disable", "POST"), ("disabled", "disable", "DELETE")],
)
@pytest.mark.parametrize("check_mode", [True, False])
def test_switches(ibm, option, field, method, check_mode):
    on = method == "POST"
    ibm.exchange()
    lists(ibm, key(**{option: not on}))
    if on and option == "disabled":
        own(ibm)
    if not check_mode:
        ibm.cloud(method, f"{AT}/{field}", **TAKEN)
        gets(ibm, key(**{option: on}))
    result, _module = run(name="fleet", check_mode=check_mode, **{option: on})
    assert (result["changed"], result["api_key"][option]) == (True, on)
    assert result["diff"]["after"][option] is on


@pytest.mark.parametrize("now, done", [(True, True), (False, False)])
def test_the_lost_answer_of_a_switch(ibm, now, done):
    ibm.exchange()
    lists(ibm, key())
    ibm.cloud("POST", f"{AT}/lock", fails=Broken())
    ibm.cloud("POST", f"{AT}/lock", status=503)  # sent twice: it is a state
    gets(ibm, key(locked=now))
    result, module = run(name="fleet", locked=True, retries=1)
    assert (bool(result.get("changed")), len(module.warnings)) == (done, done)


def test_a_switch_that_does_nothing(ibm):
    ibm.exchange()
    lists(ibm, key())
    ibm.cloud("POST", f"{AT}/lock", **TAKEN)
    gets(ibm, key())
    assert "IAM took it, but the key is not locked. Somebody else" in failed(name="fleet", locked=True)


@pytest.mark.parametrize("asked", [{"description": "d"}, {"disabled": True}])
def test_a_locked_key_is_changed_only_where_the_lock_is_declared(ibm, asked):
    ibm.exchange()
    lists(ibm, key(locked=True))
    assert f"'fleet' ({ID}) is locked, and IBM changes no locked key: set 'locked: true' to" in failed(
        name="fleet", **asked
    )


@pytest.mark.parametrize("locked", [True, False])
def test_a_locked_key_is_unlocked_changed_and_locked_again(ibm, locked):
    ibm.exchange()
    lists(ibm, key(locked=True))
    ibm.cloud("DELETE", f"{AT}/lock", **TAKEN)
    gets(ibm, key(entity_tag="2-a"))
    puts(ibm, {"description": "d"}, "2-a")
    if locked:
        ibm.cloud("POST", f"{AT}/lock", **TAKEN)
        gets(ibm, key(description="d", locked=True))
    result, _module = run(name="fleet", description="d", locked=locked)
    assert (result["changed"], result["api_key"]["locked"]) == (True, locked)
    assert result["diff"]["after"]["locked"] is locked


def test_an_ended_key_is_told(ibm):
    ibm.exchange()
    lists(ibm, key(expires_at="2020-01-31T12:00+0000"))
    result, module = run(name="fleet")
    assert result["changed"] is False
    assert f"'fleet' ({ID}) ended at 2020-01-31T12:00+0000 and authenticates nobody" in module.warnings[0]


def test_the_form_of_ibms_times_may_change(ibm):
    ibm.exchange()
    lists(ibm, key(expires_at="tomorrow"))
    assert run(name="fleet")[0]["changed"] is False


# Deleting keys


def test_deleted(ibm):
    ibm.exchange()
    lists(ibm, key())
    own(ibm)
    ibm.cloud("DELETE", AT, **TAKEN)
    result, _module = run(name="fleet", state="absent")
    assert (result["changed"], result["api_keys"]) == (True, [key()])
    assert result["diff"]["before"][ID]["name"] == "fleet" and result["diff"]["after"] == {}


def test_absent_already(ibm):
    ibm.exchange()
    lists(ibm)
    result, _module = run(name="fleet", state="absent")
    assert (result["changed"], result["api_keys"], result["diff"]["before"]) == (False, [], {})
    gets(ibm, None)
    assert run(id=ID, state="absent")[0]["changed"] is False


def test_check_mode_deletes_nothing(ibm):
    ibm.exchange()
    lists(ibm, key())
    own(ibm)
    assert run(name="fleet", state="absent", check_mode=True)[0]["api_keys"] == [key()]


@pytest.mark.parametrize("option", [{"api_key": API_KEY}, {"api_key": f"{API_KEY}\n"}])
@pytest.mark.parametrize("what", [{"state": "absent"}, {"disabled": True}])
def test_the_own_key_is_spared(ibm, option, what):
    ibm.exchange()
    lists(ibm, key())
    own(ibm, key())
    assert "is the one that this task authenticates with" in failed(name="fleet", **option, **what)


def test_the_own_key_is_deleted_where_that_is_said(ibm):
    ibm.exchange()
    lists(ibm, key())
    ibm.cloud("DELETE", AT, **TAKEN)
    assert run(name="fleet", state="absent", allow_own=True)[0]["changed"]


def test_a_bearer_token_has_no_own_key(ibm):
    lists(ibm, key())
    ibm.cloud("DELETE", AT, **TAKEN)
    assert run(name="fleet", state="absent", api_key=None, bearer_token=TOKEN)[0]["changed"]


def test_a_locked_key_is_not_deleted(ibm):
    ibm.exchange()
    lists(ibm, key(locked=True))
    assert "IBM deletes no locked key: set 'locked: false' to unlock it first" in failed(name="fleet", state="absent")


def test_a_locked_key_is_unlocked_and_deleted(ibm):
    ibm.exchange()
    lists(ibm, key(locked=True))
    own(ibm)
    ibm.cloud("DELETE", f"{AT}/lock", **TAKEN)
    gets(ibm, key())
    ibm.cloud("DELETE", AT, **TAKEN)
    assert run(name="fleet", state="absent", locked=False)[0]["changed"]


def test_locked_meanwhile(ibm):
    ibm.exchange()
    lists(ibm, key())
    own(ibm)
    ibm.cloud("DELETE", AT, **LOCKED)
    gets(ibm, key(locked=True))
    message = failed(name="fleet", state="absent")
    assert "Unable to delete object: The key is locked" in message and "unlock a locked API key first" in message


@pytest.mark.parametrize("answer", [{"fails": Broken()}, {"status": 503}, NOT_FOUND])
@pytest.mark.parametrize("now", [None, key()])
def test_the_lost_answer_of_a_deletion(ibm, answer, now):
    ibm.exchange()
    lists(ibm, key())
    own(ibm)
    ibm.cloud("DELETE", AT, **answer)
    gets(ibm, now)
    result, module = run(name="fleet", state="absent", retries=0)
    assert bool(result.get("changed")) is (now is None)
    assert len(module.warnings) == (now is None and answer is not NOT_FOUND)


# Which key is meant


@pytest.mark.parametrize("state", ["present", "absent"])
def test_several_keys_of_a_name(ibm, state):
    ibm.exchange()
    lists(ibm, key(), key(id=OTHER_ID, created_at=None))
    message = failed(name="fleet", state=state)
    assert f"2 API keys match API key fleet: {ID} (made 2026-01-02T03:04+0000), {OTHER_ID} (made at an" in message


def test_several_keys_are_deleted_where_that_is_said(ibm):
    ibm.exchange()
    lists(ibm, key(), key(id=OTHER_ID), key(id="ApiKey-3", name="other"))
    own(ibm, key(id="ApiKey-4"))
    ibm.cloud("DELETE", AT, **TAKEN)
    ibm.cloud("DELETE", f"{URL}/{OTHER_ID}", **TAKEN)
    assert len(run(name="fleet", state="absent", duplicates="all")[0]["api_keys"]) == 2


@pytest.mark.parametrize(
    "options, message",
    [
        ({"name": ""}, "'name' must not be empty"),
        ({"name": "", "state": "absent"}, "'name' must not be empty"),
        ({"value_file": "/x"}, "'name' must not be empty"),
        ({"name": "n", "duplicates": "all"}, "'duplicates: all' is for 'state: absent'"),
        ({"name": "n", "expires_in": 0}, "'expires_in' must be 1 to 316224000 seconds"),
        ({"name": "n", "expires_at": "soon"}, "'expires_at' must be a time such as 2027-01-31T12:00+0000, not 'soon'"),
        ({"name": "n", "expires_at": "0001-01-01T00:00+2359"}, "'expires_at' must be a time"),
        ({"name": "n", "value_file": "key"}, "'value_file' must be an absolute path, not 'key'"),
    ],
)
def test_options_that_cannot_be_right(ibm, options, message):
    assert message in failed(**options)


@pytest.mark.parametrize("key_id", ["details", "..", "a/b", "a?b", "a b"])
def test_an_id_that_is_none(ibm, key_id):
    assert "'id' is not the ID of an API key" in failed(id=key_id)


def test_an_end_that_is_over(ibm):
    ibm.exchange()
    lists(ibm)
    assert "2020-01-01T00:00+0000 is over, and there is no such key yet" in failed(
        name="fleet", expires_at="2020-01-01"
    )


# The file with the value


def test_the_value_is_on_disk_before_iam_has_it(ibm, file, monkeypatch):
    ibm.exchange()
    lists(ibm)
    made(ibm)
    seen = []
    create = _api_key.Identity.create

    def spy(self, *args, **options):
        seen.append((file.with_name("fleet.key.new").read_text(), file.exists()))
        return create(self, *args, **options)

    monkeypatch.setattr(_api_key.Identity, "create", spy)
    result, module = run(name="fleet", value_file=str(file))
    assert seen == [(VALUE + "\n", False)]
    assert result["changed"] and "value" not in result
    assert (file.read_text(), file.stat().st_mode & 0o777) == (VALUE + "\n", 0o600)
    assert [path.name for path in file.parent.glob("fleet*")] == ["fleet.key"]
    assert VALUE in module.no_log_values


@pytest.mark.parametrize("check_mode", [True, False])
def test_a_second_run_finds_the_key_by_its_value(ibm, file, check_mode):
    ibm.exchange()
    details(ibm, VALUE, key())
    result, _module = run(name="fleet", value_file=str(secret(file)), check_mode=check_mode)
    assert (result["changed"], result["api_key"]["id"]) == (False, ID)


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("check_mode", [True, False])
def test_an_interrupted_run_is_completed(ibm, file, known, check_mode):
    pending = secret(file.with_name("fleet.key.new"))
    ibm.exchange()
    details(ibm, VALUE, key() if known else None)
    if not known:
        lists(ibm)
        if not check_mode:
            made(ibm)
    result, _module = run(name="fleet", value_file=str(file), check_mode=check_mode)
    assert result["changed"]
    assert (pending.exists(), file.exists()) == (check_mode, not check_mode)


def test_a_torn_file_was_never_sent(ibm, file):
    secret(file.with_name("fleet.key.new"), VALUE[:40])
    ibm.exchange()
    lists(ibm)
    made(ibm)
    assert run(name="fleet", value_file=str(file))[0]["changed"]
    assert file.read_text() == VALUE + "\n"


@pytest.mark.parametrize("status, left", [(403, False), (409, False), (503, True)])
def test_a_refused_value_is_not_kept(ibm, file, status, left):
    ibm.exchange()
    lists(ibm)
    made(ibm, status=status, reply=identity_error("BXNIM1", "no"))
    if status == 503:
        details(ibm, VALUE, None)
    failed(name="fleet", value_file=str(file))
    assert file.with_name("fleet.key.new").exists() is left
    assert not file.exists()


@pytest.mark.parametrize("there", [True, False])
def test_a_key_whose_value_nobody_has(ibm, file, there):
    ibm.exchange()
    if there:
        secret(file)
        details(ibm, VALUE, None)
    lists(ibm, key())
    message = failed(name="fleet", value_file=str(file))
    assert f"there is an API key 'fleet' ({ID}), but {file} does not hold its value" in message
    assert "delete the key with 'state: absent', or give another 'name'" in message


def test_a_value_that_iam_does_not_know(ibm, file):
    ibm.exchange()
    details(ibm, VALUE, None)
    lists(ibm)
    message = failed(name="fleet", value_file=str(secret(file)))
    assert "IAM does not know the value" in message and "remove the file, and a new key is made" in message


@pytest.mark.parametrize(
    "found, options, told",
    [
        ({"name": "other"}, {}, "'name' is 'other' instead of 'fleet'"),
        ({"iam_id": "x"}, {"iam_id": IAM_ID}, f"'iam_id' is 'x' instead of '{IAM_ID}'"),
        ({"id": OTHER_ID}, {"id": ID}, f"'id' is '{OTHER_ID}' instead of '{ID}'"),
    ],
)
@pytest.mark.parametrize("state", ["present", "absent"])
def test_a_value_of_another_key(ibm, file, found, options, told, state):
    ibm.exchange()
    details(ibm, VALUE, key(**found))
    assert told in failed(name="fleet", value_file=str(secret(file)), state=state, **options)


def test_two_files(ibm, file):
    secret(file)
    secret(file.with_name("fleet.key.new"))
    ibm.exchange()
    assert "of an interrupted run: remove both and their keys" in failed(name="fleet", value_file=str(file))


@pytest.mark.parametrize("check_mode", [True, False])
@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("suffix", ["", ".new"])
def test_the_file_is_enough_to_clean_up(ibm, file, known, suffix, check_mode):
    held = secret(file.with_name(file.name + suffix))
    ibm.exchange()
    details(ibm, VALUE, key() if known else None)
    if known:
        own(ibm)
        if not check_mode:
            ibm.cloud("DELETE", AT, **TAKEN)
    result, _module = run(value_file=str(file), state="absent", check_mode=check_mode)
    assert (result["changed"], len(result["api_keys"])) == (True, known)
    assert held.exists() is check_mode


def test_both_files_are_cleaned_up(ibm, file):
    other = VALUE[::-1]
    secret(file)
    secret(file.with_name("fleet.key.new"), other + "\n")
    ibm.exchange()
    details(ibm, VALUE, key())
    details(ibm, other, key(id=OTHER_ID))
    own(ibm, key(id="ApiKey-4"))
    ibm.cloud("DELETE", AT, **TAKEN)
    ibm.cloud("DELETE", f"{URL}/{OTHER_ID}", **TAKEN)
    assert run(value_file=str(file), state="absent", duplicates="all")[0]["changed"]
    assert not list(file.parent.glob("fleet*"))


def test_nothing_to_clean_up(ibm, file):
    assert run(value_file=str(file), state="absent")[0]["changed"] is False


def test_the_file_decides_among_several_keys_of_the_name(ibm, file):
    ibm.exchange()
    details(ibm, VALUE, key())
    own(ibm)
    ibm.cloud("DELETE", AT, **TAKEN)
    assert run(name="fleet", value_file=str(secret(file)), state="absent")[0]["api_keys"] == [key()]


def test_without_the_file_the_name_decides(ibm, file):
    ibm.exchange()
    lists(ibm, key())
    own(ibm)
    ibm.cloud("DELETE", AT, **TAKEN)
    assert run(name="fleet", value_file=str(file), state="absent")[0]["changed"]


@pytest.mark.parametrize(
    "params, before",
    [
        ({"state": "present", "id": None, "value_file": None}, True),
        ({"state": "present", "id": None, "value_file": "/x"}, False),
        ({"state": "present", "id": ID, "value_file": None}, False),
        ({"state": "absent", "id": None, "value_file": None}, False),
    ],
)
def test_when_a_result_is_a_secret(params, before):
    assert api_key.returns_secret(params) is before
    assert api_key.returns_secret(params, {"value": VALUE}) is True
    assert api_key.returns_secret(params, {"api_key": key()}) is False
