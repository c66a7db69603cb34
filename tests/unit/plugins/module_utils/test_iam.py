# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
import requests

from ansible_collections.ibm_quantum.platform.plugins.module_utils import _iam
from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import ApiError, OptionError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._http import Http
from ansible_collections.ibm_quantum.platform.plugins.module_utils._iam import ApiKey, GivenToken, Iam, TrustedProfile
from ansible_collections.ibm_quantum.platform.plugins.module_utils._token_cache import TokenCache
from ansible_collections.ibm_quantum.platform.tests.unit.scripted import (
    API_KEY,
    GRANT,
    IAM,
    OTHER_TOKEN,
    TOKEN,
    TOKEN_URL,
    api_key_form,
    jwt,
    token_reply,
)

NOW = 1_800_000_000.0


class World:
    """One user's world: a clock, a cache, and all that the code said."""

    def __init__(self, directory):
        self.directory = directory
        self.now = NOW
        self.warnings = []
        self.secrets = []

    def iam(self, grant=None, cached=True, url=IAM, retries=0):
        return Iam(
            Http(retries=retries),
            url,
            grant or ApiKey(API_KEY),
            TokenCache(self.directory, lambda: self.now) if cached else None,
            on_secret=self.secrets.append,
            warn=self.warnings.append,
            clock=lambda: self.now,
        )


@pytest.fixture
def world(tokens):
    return World(tokens)


def opaque(name, **changes):
    """A reply whose token has no claims, so that only expires_in tells its life."""
    return token_reply(name, **changes)


# -- the exchange


def test_the_exchange_of_an_api_key(ibm, world):
    ibm.exchange(form={"grant_type": GRANT + "apikey", "apikey": API_KEY, "response_type": "cloud_iam"})
    iam = world.iam()
    assert not iam.exchanged
    assert iam.token().value == TOKEN
    assert iam.exchanged
    assert world.secrets == [TOKEN]


def test_the_key_is_encoded_in_the_form(ibm, world):
    key = "own+value/with=reserved&characters%41-0123456789"
    ibm.exchange(form=api_key_form(key))
    world.iam(ApiKey(f" {key}\n")).token()
    assert "apikey=own%2Bvalue%2Fwith%3Dreserved%26characters%2541-0123456789" in ibm.sent[0].body


@pytest.mark.parametrize(
    "profile, field",
    [
        ("crn:v1:bluemix:public:iam-identity::a/0::profile:Profile-1", "profile_crn"),
        ("Profile-0c2b3d54", "profile_id"),
        ("fleet", "profile_name"),
    ],
)
def test_the_exchange_of_a_compute_resource(ibm, world, tmp_path, profile, field):
    file = tmp_path / "token"
    file.write_text("cr-token\n")
    ibm.exchange(form={"grant_type": GRANT + "cr-token", "cr_token": "cr-token", field: profile})
    assert world.iam(TrustedProfile(profile, str(file))).token().value == TOKEN
    assert world.secrets == ["cr-token", TOKEN]


def test_the_known_places_of_a_compute_resources_token(ibm, world, tmp_path, monkeypatch):
    files = [tmp_path / name for name in ("missing", "empty", "good", "unread")]
    for file, text in zip(files[1:], (" \n", "cr-token", "other")):
        file.write_text(text)
    monkeypatch.setattr(_iam, "CR_TOKEN_FILES", [str(file) for file in files])
    ibm.exchange(form={"grant_type": GRANT + "cr-token", "cr_token": "cr-token", "profile_name": "fleet"})
    world.iam(TrustedProfile("fleet")).token()


def test_no_compute_resource_token(ibm, world, tmp_path):
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    for name, why in (("missing", "No such file or directory"), ("binary", "not text")):
        with pytest.raises(OptionError, match=f"{name}: {why}.*set 'cr_token_file' to the file that"):
            world.iam(TrustedProfile("fleet", str(tmp_path / name))).token()


@pytest.mark.parametrize(
    "status, reply, text",
    [
        (
            400,
            {"errorCode": "BXNIM0415E", "errorMessage": "Provided API key could not be found."},
            "does not know this",
        ),
        (400, {"errorCode": "BXNIM0400E", "errorMessage": "Refused."}, "IAM refused the credential"),
        (401, {"errorCode": "BXNIM0308E", "errorMessage": "No header."}, "a proxy may have removed the header"),
        (403, "<html><title>Access Denied</title></html>", 'titled "Access Denied".*IBM\'s edge blocks some countries'),
        (200, {}, "is not a token: no access_token.*a proxy's login page"),
        (200, "<html>Log in</html>", "is not a token: no access_token"),
        (200, {"access_token": "opaque"}, "is not a token: no lifetime"),
        (200, '{"access_token": "ey', "is not the JSON that it says it is, or was cut off"),
        (204, None, "IAM's answer \\(204\\) is not a token"),
    ],
)
def test_failed_exchanges(ibm, world, status, reply, text):
    ibm.exchange(status=status, reply=reply)
    with pytest.raises(ApiError, match=f"POST {TOKEN_URL}: .*{text}") as caught:
        world.iam().token()
    assert API_KEY not in str(caught.value) + str(caught.value.as_result())


def test_the_key_does_not_follow_a_redirection(ibm, world):
    ibm.exchange(status=307, reply="", reply_headers={"Location": "https://elsewhere.test/identity/token"})
    with pytest.raises(ApiError, match="307"):
        world.iam().token()


def test_an_exchange_creates_nothing_so_it_is_repeated(ibm, world, naps):
    ibm.exchange(status=503, reply={})
    ibm.exchange(fails=requests.exceptions.ReadTimeout())
    ibm.exchange()
    assert world.iam(retries=2).token().value == TOKEN
    assert len(naps) == 2


# -- one exchange for all


def test_others_use_the_cached_token(ibm, world):
    ibm.exchange()
    assert world.iam().token().value == TOKEN
    second = world.iam()
    assert second.token().value == TOKEN
    assert not second.exchanged and second.cached()
    assert world.secrets == [TOKEN, TOKEN]  # each task must know what to hide


@pytest.mark.parametrize("cached", [True, False])
def test_renewed_at_80_percent_of_its_life(ibm, world, cached):
    ibm.exchange("one", reply=opaque("one", expires_in=1000))
    ibm.exchange("two", reply=opaque("two", expires_in=1000))
    values = []
    for now in (NOW, NOW + 799, NOW + 800, NOW + 1599):
        world.now = now
        values.append(world.iam(cached=cached).token().value)
    assert values == ["one", "one", "two", "two"]


def test_without_the_shared_cache_nothing_is_written(ibm, world, tokens):
    ibm.exchange()
    assert [world.iam(cached=False).token().value for _turn in range(3)] == [TOKEN] * 3  # the items of a loop
    assert not tokens.exists() and not world.iam(cached=False).cached()


def test_other_keys_and_other_iams_have_other_tokens(ibm, world):
    other_key, other_url = API_KEY[::-1], "https://private.iam.cloud.ibm.com"
    ibm.exchange("one", reply=opaque("one"))
    ibm.exchange("two", reply=opaque("two"), form=api_key_form(other_key))
    ibm.exchange("three", reply=opaque("three"), url=f"{other_url}/identity/token")
    iams = [world.iam(), world.iam(ApiKey(other_key)), world.iam(url=other_url)]
    assert [iam.token().value for iam in iams * 2] == ["one", "two", "three"] * 2


@pytest.mark.parametrize("cached", [True, False])
@pytest.mark.parametrize(
    "trouble",
    [{"status": 503, "reply": {}}, {"status": 429, "reply": {}}, {"fails": requests.exceptions.ReadTimeout()}],
)
def test_an_old_token_serves_while_iam_is_out_of_order(ibm, world, cached, trouble):
    ibm.exchange("one", reply=opaque("one"))
    ibm.exchange(**trouble)
    ibm.exchange("two", reply=opaque("two"))
    world.iam(cached=cached).token()
    world.now += 3000
    assert world.iam(cached=cached).token().value == "one"
    assert len(world.warnings) == 1 and "could not be renewed yet, the old one still serves" in world.warnings[0]
    assert world.iam(cached=cached).token().value == "two"


@pytest.mark.parametrize("age, answer", [(3000, {"status": 400}), (3600, {"status": 503})])
def test_an_old_token_does_not_serve_a_refused_key_nor_after_its_end(ibm, world, age, answer):
    ibm.exchange("one", reply=opaque("one"))
    ibm.exchange(reply={}, **answer)
    world.iam().token()
    world.now += age
    with pytest.raises(ApiError):
        world.iam().token()


@pytest.mark.parametrize("cached", [True, False])
def test_a_refused_token_is_dropped_once(ibm, world, cached):
    ibm.exchange(TOKEN)
    ibm.exchange(OTHER_TOKEN)
    iam = world.iam(cached=cached)
    assert iam.reject(iam.token().value) is True
    assert iam.token().value == OTHER_TOKEN


def test_a_token_that_another_worker_renewed_is_not_dropped(ibm, world):
    ibm.exchange()
    iam = world.iam()
    iam.token()
    iam.reject(OTHER_TOKEN)
    assert iam.cached() and iam.token().value == TOKEN


def test_forget(ibm, world):
    ibm.exchange()
    world.iam().token()
    world.iam().forget()
    assert not world.iam().cached()
    world.iam().forget()  # nothing to forget is no error


def test_a_cache_that_cannot_be_used_is_a_warning(ibm, world, tokens):
    tokens.parent.mkdir(parents=True)
    tokens.symlink_to(tokens.parent)
    ibm.exchange()
    assert [world.iam().token().value for _turn in range(3)] == [TOKEN] * 3
    assert set(world.warnings) == {f"token cache not used: {tokens} is not a directory of this user: remove it"}


# -- credentials that cannot be right


@pytest.mark.parametrize(
    "key, text",
    [
        ("", "'api_key' is empty"),
        (" \n", "'api_key' is empty"),
        (TOKEN, "'api_key' holds a bearer token: give it as 'bearer_token'"),
        (f"Bearer {TOKEN}", "'api_key' holds a bearer token"),
        ("two words", "'api_key' has characters that no API key has"),
        ("key\nkey", "'api_key' has characters that no API key has"),
        ("kéy", "'api_key' has characters that no API key has"),
    ],
)
def test_what_is_no_api_key(key, text):
    with pytest.raises(OptionError, match=text) as caught:
        ApiKey(key)
    assert not key.strip() or key not in str(caught.value)


def test_an_empty_profile():
    with pytest.raises(OptionError, match="'trusted_profile' is empty"):
        TrustedProfile(" ")


@pytest.mark.parametrize("prefix", ["", "Bearer ", "bearer  "])
def test_a_given_token_is_used_as_it_is(prefix):
    given = GivenToken(f"{prefix}{TOKEN}\n")
    assert given.token().value == TOKEN
    assert (given.exchanged, given.cached(), given.reject(TOKEN)) == (False, False, False)
    given.forget()
    assert given.token().value == TOKEN


@pytest.mark.parametrize(
    "value, text",
    [
        (API_KEY, "'bearer_token' is not a bearer token .*: an API key goes into 'api_key'"),
        ("Bearer ", "'bearer_token' is not a bearer token"),
        (jwt(iat=NOW - 4000, exp=NOW - 400), "'bearer_token' has expired"),
        (jwt(iat=NOW - 3595, exp=NOW + 5), "'bearer_token' has expired"),  # it would on its way
    ],
)
def test_what_is_no_bearer_token(value, text):
    with pytest.raises(OptionError, match=text) as caught:
        GivenToken(value, clock=lambda: NOW)
    assert value not in str(caught.value)
