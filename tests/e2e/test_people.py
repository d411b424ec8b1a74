"""People sign in and ask: at their organisation's provider, and on the gateway's own login page."""

from __future__ import annotations

import json
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from gateway.client import Client, Profile
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.sign_in import Evidence
from gateway.rules.jose import Problem
from gateway.rules.records import from_bytes
from tests.e2e import signing_in
from tests.e2e.shell import QUERIES, ROOT
from tests.e2e.signing_in import CARE, PASSWORD, US, World, claims_in

NOW = int(time.time())


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with signing_in.running(tmp_path_factory.mktemp("people")) as world:
        yield world


@pytest.fixture(scope="module")
def analyst(world: World) -> tuple[Path, str]:
    """A profile in which dana of the ministry has signed in, and her ID token."""
    world.provider.person("dana", groups=["staff", "analysts"])
    profile, token = world.profile("dana"), world.provider.id_token("dana")
    done = world.exchanged(profile, token)
    assert done.code == 0, done.err
    assert done.json["subject"] == "dana@ministry"
    assert done.json["scopes"] == ["catalogue", "compute"]
    return profile, token


# At the organisation's provider.


def test_a_person_of_the_provider_asks_and_the_contract_names_them(world: World, analyst: tuple[Path, str]) -> None:
    profile, _ = analyst
    done = world.shell("run", QUERIES / "form_year.yaml", "--profile", profile, "--json")
    assert done.code == 0, done.err
    assert done.json["state"] == "RELEASED"
    shown = world.shell("computations", "show", done.json["computation"], "--profile", profile, "--json").json
    assert shown["requester"] == "dana@ministry"
    assert '"requester":"dana@ministry"' in _contract(world, done.json["computation"])
    # It is hers: neither the client's own, nor another client's, nor another person's.
    other = world.shell("computations", "show", done.json["computation"], "--json")
    assert other.code == 2 and "there is no" in other.err


def test_the_token_is_bound_and_names_the_actor_and_lives_no_longer_than_the_inbound_one(
    world: World, analyst: tuple[Path, str]
) -> None:
    profile, inbound = analyst
    file = profile.with_suffix(".token")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    claims = claims_in(file.read_text())
    assert claims["sub"] == "dana@ministry" and claims["client_id"] == "desk" and claims["act"] == {"sub": "desk"}
    assert claims["iss"] == claims["aud"] == CARE
    assert claims["exp"] - claims["iat"] <= 300
    assert claims["sign_in_ends"] == claims_in(inbound)["exp"] >= claims["exp"]
    (details,) = claims["authorization_details"]
    assert (details["statistics"], details["purposes"]) == (["count_by"], ["trend-monitoring"])


def test_rights_are_those_that_client_and_person_have_both(world: World, analyst: tuple[Path, str]) -> None:
    profile, _ = analyst
    refused = world.shell("run", QUERIES / "overlap.yaml", "--profile", profile)
    assert refused.code == 3 and "overlap" in refused.err


def test_the_inbound_token_is_evidence_and_in_no_log(world: World, analyst: tuple[Path, str]) -> None:
    _, inbound = analyst
    (fact,) = [fact for fact in world.shell.facts() if fact.kind == "token.exchanged" and "dana" in fact.subject]
    assert (fact.subject, fact.about) == ("dana@ministry", "clients/desk")
    (kept,) = [item for item in _evidence(world) if item.person == "dana@ministry"]
    assert kept.token == inbound and kept.issuer == world.provider.issuer
    assert kept.digest in fact.detail and kept.jti in fact.detail
    assert json.loads(kept.key)["kty"] == "RSA"
    signature = inbound.rpartition(".")[2]
    assert all(signature not in f"{fact}" for fact in world.shell.facts())
    assert signature not in (world.shell.folder / "sandbox.log").read_text()


def test_an_inbound_token_serves_once_at_whichever_client(world: World, analyst: tuple[Path, str]) -> None:
    profile, inbound = analyst
    for client in (profile, world.profile("again", "analyst")):
        done = world.exchanged(client, inbound)
        assert (done.code, done.json["error"]["reason"]) == (3, "UNAUTHENTICATED")
    assert "exchanged before" in world.shell.facts()[-1].detail


def test_a_token_for_another_client_of_the_provider_is_refused(world: World) -> None:
    done = world.exchanged(world.profile("other"), world.provider.id_token("dana", client="somebody-else"))
    assert done.json["error"]["reason"] == "UNAUTHENTICATED"


def test_whom_no_rule_matches_gets_nothing_and_keeps_the_token(world: World) -> None:
    world.provider.person("eve", groups=["staff"], email="chief@ministry.example")
    token = world.provider.id_token("eve")
    done = world.exchanged(world.profile("eve"), token)
    assert (done.code, done.json["error"]["reason"]) == (3, "PERMISSION_DENIED")
    # Her address is not verified. Once it is, all that she is granted is what this client does not have.
    world.provider.person("eve", email="chief@ministry.example", email_verified=True)
    done = world.exchanged(world.profile("eve"), world.provider.id_token("eve"))
    assert (done.code, done.json["error"]["reason"]) == (3, "PERMISSION_DENIED")
    done = world.exchanged(world.profile("eve", "operator"), world.provider.id_token("eve"))
    assert (done.code, done.json["scopes"]) == (0, ["operate"])


def test_a_changed_key_file_counts_at_once(world: World) -> None:
    file, good = world.home / "provider.jwks.json", world.provider.jwks()
    world.provider.person("fay", groups=["analysts"])
    token = world.provider.id_token("fay")
    file.write_text(world.lab.jwks())
    assert world.exchanged(world.profile("fay"), token).code == 3
    file.write_text("{")
    assert world.exchanged(world.profile("fay"), token).code == 3
    file.write_text(good)
    assert world.exchanged(world.profile("fay"), token).code == 0


FORGED: dict[str, tuple[Problem, Callable[[World], str]]] = {
    "expired": (Problem.TIMES, lambda w: w.lab.token(iat=NOW - 600, exp=NOW - 1)),
    "older than allowed": (Problem.TIMES, lambda w: w.lab.token(iat=NOW - 1000)),
    "of the future": (Problem.TIMES, lambda w: w.lab.token(iat=NOW + 3600, exp=NOW + 7200)),
    "not yet good": (Problem.TIMES, lambda w: w.lab.token(nbf=NOW + 3600)),
    "HS256 with the public key": (Problem.ALGORITHM, lambda w: w.lab.token({"alg": "HS256"}, w.lab.jwks().encode())),
    "alg none": (Problem.ALGORITHM, lambda w: w.lab.token({"alg": "none"}).rpartition(".")[0] + "."),
    "PS256, which is not configured": (Problem.ALGORITHM, lambda w: w.lab.token({"alg": "PS256"})),
    "ES256 by the RSA key": (Problem.ALGORITHM, lambda w: w.lab.token({"alg": "ES256"})),
    "an unknown kid": (Problem.KEY, lambda w: w.lab.token({"kid": "other"})),
    "no kid where there are two keys": (Problem.KEY, lambda w: w.lab.token({"kid": None})),
    "another's key": (Problem.SIGNATURE, lambda w: w.lab.token(secret=signing_in.new_lab().rsa)),
    "an embedded key": (Problem.HEADER, lambda w: w.lab.token({"jwk": json.loads(w.lab.jwks())["keys"][0]})),
    "a key to be fetched": (Problem.HEADER, lambda w: w.lab.token({"jku": "https://evil.example/jwks"})),
    "several audiences and no azp": (Problem.AUDIENCE, lambda w: w.lab.token(aud=[US, "another"])),
    "made for another": (Problem.AUDIENCE, lambda w: w.lab.token(azp="another")),
    "an unknown issuer": (Problem.ISSUER, lambda w: w.lab.token(iss="https://evil.example")),
    "another provider's issuer": (Problem.KEY, lambda w: w.lab.token(iss=w.provider.issuer)),
    "an access token as an ID token": (Problem.TYP, lambda w: w.lab.token({"typ": "at+jwt"})),
    "a name with a line break": (Problem.CLAIMS, lambda w: w.lab.token(sub="visitor\nx")),
    "no name": (Problem.CLAIMS, lambda w: w.lab.token(sub=None)),
}


@pytest.mark.parametrize("name", FORGED)
def test_a_token_that_is_not_good_is_refused(world: World, name: str) -> None:
    problem, forged = FORGED[name]
    start = len(world.shell.facts())
    with Client(Profile.load(world.profile("visitor"))) as client, pytest.raises(IsthmusError) as refused:
        client.exchange(forged(world))
    assert refused.value.reason is Reason.UNAUTHENTICATED
    assert refused.value.public == "These credentials were not accepted"
    (fact,) = world.shell.facts(start=start)
    assert fact.kind == "call.refused" and fact.subject == "desk"
    assert f"[{problem}: " in fact.detail, fact.detail


def test_a_token_that_is_good_is_taken_so_that_the_others_prove_something(world: World) -> None:
    with Client(Profile.load(world.profile("visitor"))) as client:
        for token in (world.lab.token(), world.lab.token(aud=[US]), world.lab.token(aud=[US, "another"], azp=US)):
            said = client.exchange(token)
            assert (said.subject, said.scopes) == ("visitor@lab", ("catalogue",))
        assert client.exchange(world.lab.token({"typ": "at+jwt"}), "access_token").subject == "visitor@lab"


def test_a_token_of_one_certificate_does_nothing_on_another(world: World, analyst: tuple[Path, str]) -> None:
    profile, _ = analyst
    other = world.profile("thief", "analyst")
    other.with_suffix(".token").write_text(profile.with_suffix(".token").read_text())
    other.with_suffix(".token").chmod(0o600)
    assert world.shell("datasets", "--profile", other).code == 3


def test_a_client_that_acts_for_people_only_gets_no_token_of_its_own(world: World) -> None:
    done = world.shell("datasets", "--profile", world.profile("nobody"), "--json")
    assert (done.code, done.json["error"]["reason"]) == (3, "PERMISSION_DENIED")
    assert "isthmus login" in done.json["error"]["advice"]


# On the login page.


def test_login_on_the_page_of_the_gateway(world: World) -> None:
    profile = world.profile("anna")
    said = _login(world, profile, "anna", f"{PASSWORD} of 4")
    assert said["subject"] == "anna@people" and said["scopes"] == ["catalogue", "compute"]
    done = world.shell("run", QUERIES / "form_year.yaml", "--profile", profile, "--json")
    assert done.code == 0, done.err
    assert '"requester":"anna@people"' in _contract(world, done.json["computation"])
    kinds = [fact.kind for fact in world.shell.facts() if fact.subject == "anna@people"]
    assert kinds[:2] == ["login.accepted", "token.exchanged"]


def test_whoever_is_removed_is_out_at_once(world: World) -> None:
    profile = world.profile("bert")
    assert _login(world, profile, "bert", f"{PASSWORD} of 4")["scopes"] == ["catalogue"]
    assert world.shell("datasets", "--profile", profile).code == 0
    assert world.people("remove", "bert").code == 0
    refused = world.shell("datasets", "--profile", profile)
    assert refused.code == 3
    fact = world.shell.facts()[-1]
    assert fact.kind == "call.refused" and "PERMISSION_DENIED" in fact.detail
    listed = world.people("list", "--json").json["people"]
    assert [person["name"] for person in listed] == ["anna"] and "argon2" not in json.dumps(listed)


def test_people_are_added_with_a_password_that_holds(world: World) -> None:
    for typed, why in (("short\n", "12 characters"), ("greta-greta-1\n", "contain the name"), ("\n", "12 characters")):
        done = world.people("add", "greta", "--scopes", "catalogue", typed=typed)
        assert done.code == 2 and why in done.err, done
    assert world.people("add", "anna", "--scopes", "catalogue", typed=f"{PASSWORD}\n").code == 2
    assert "unknown scopes" in world.people("add", "greta", "--scopes", "all", typed=f"{PASSWORD}\n").err
    assert world.people("remove", "greta").code == 2


def _login(world: World, profile: Path, name: str, password: str) -> dict[str, object]:
    """`isthmus login --no-browser`, with this test as the browser."""
    command = [sys.executable, "-m", "gateway", "login", "--no-browser", "--json", "--profile", str(profile)]
    process = subprocess.Popen(
        command, cwd=ROOT, env=world.shell.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    process.stderr.readline()
    address = process.stderr.readline().strip()
    with httpx.Client() as browser:
        form = browser.get(address)
        assert form.status_code == 200
        proof = form.text.partition('name="proof" value="')[2].partition('"')[0]
        sent = browser.post(address, data={"proof": proof, "name": name, "password": password})
        assert sent.status_code == 303, sent.text
        landed = browser.get(sent.headers["location"])
        assert landed.status_code == 200 and "You are signed in" in landed.text
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    said: dict[str, object] = json.loads(out)
    return said


def _contract(world: World, name: str) -> str:
    """The contract's payload as the home gateway stored it."""
    record = _rows(world, "SELECT record FROM computations WHERE id = ?", name.removeprefix("computations/"))[0]
    return json.dumps(claims_in(json.loads(record)["contract"]), separators=(",", ":"))


def _evidence(world: World) -> list[Evidence]:
    return [from_bytes(Evidence, record, what="evidence") for record in _rows(world, "SELECT record FROM evidence")]


def _rows(world: World, wanted: str, *values: str) -> list[str]:
    with sqlite3.connect(f"file:{world.home / 'gateway.db'}?mode=ro", uri=True) as connection:
        found = [record for (record,) in connection.execute(wanted, values)]
    connection.close()
    return found
