"""What one process holds of everybody's lists: verified, in their order, durable; the own list; what keys are left."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.identity import EntityId
from gateway.edges.certificates import Role, client_certificate, holder_of, keys_of, kid_of, without_revoked
from gateway.edges.federation import Federation, News
from gateway.edges.herald import Herald
from gateway.edges.keys import SigningKey, new_signing_key
from gateway.edges.revocations import LISTS, Revocations
from gateway.edges.revoking import Entry, OwnList, add_entry
from gateway.rules.jose import Problem, TokenProblem
from tests import examples
from tests.fakes import FakeClock, FakeIds, MemoryAuditLog, MemoryBeliefs
from tests.unit.trust_kit import (
    ANCHOR,
    ANCHOR_REVOCATIONS,
    CARE,
    NOW,
    POLICE,
    Bench,
    anchor_of,
    at,
    at_claims,
    chain_of,
    forge,
    header_of,
    new_bench,
    new_space,
    refused_at,
    revocation_list,
)

THUMBPRINT = "A" * 43


@dataclass
class Desk:
    """Revocations at `care`, over a bench of two spaces."""

    bench: Bench
    beliefs: MemoryBeliefs = field(default_factory=MemoryBeliefs)
    log: MemoryAuditLog = field(default_factory=MemoryAuditLog)
    clock: FakeClock = field(default_factory=FakeClock)

    def opened(self, trust: Federation | None = None, grace: int = 0) -> Revocations:
        return Revocations(CARE, trust or self.bench.federation, self.beliefs, self.log, self.clock, grace=grace)

    def restarted(self) -> tuple[Federation, Revocations]:
        """Another process on the same store."""
        trust = Federation([anchor_of(self.bench.anchor_key)], self.clock.now, self.beliefs)
        return trust, self.opened(trust)

    def police(self, at: int = NOW, **said: Any) -> str:
        return revocation_list(POLICE, self.bench.police.revocations, at, **said)

    def anchor(self, at: int = NOW, **said: Any) -> str:
        return revocation_list(ANCHOR, ANCHOR_REVOCATIONS, at, **said)


@pytest.fixture
def desk() -> Desk:
    return Desk(new_bench())


async def problem_of(revocations: Revocations, token: str) -> Problem:
    with pytest.raises(TokenProblem) as caught:
        await revocations.admit(token)
    return caught.value.problem


async def test_a_list_is_believed_by_its_issuers_revocation_key_alone(desk: Desk) -> None:
    revocations, bench = desk.opened(), desk.bench
    kid = bench.police.tokens.kid
    for key in (bench.police.tokens, bench.police.federation, bench.police.contracts, bench.care.revocations):
        forged = revocation_list(POLICE, key, kids=[kid])
        assert await problem_of(revocations, forged) is Problem.KEY
    signed = forge(
        header_of("isthmus-revocation+jwt", bench.police.revocations),
        {"iss": POLICE, "sub": POLICE, "iat": NOW, "exp": NOW + 300, "jti": "1", "seq": NOW, "revoked": {}},
        new_signing_key().secret,
    )
    assert await problem_of(revocations, signed) is Problem.SIGNATURE
    assert bench.federation.lists() == []
    await revocations.admit(desk.police(kids=[kid]))
    with pytest.raises(TokenProblem) as caught:
        bench.federation.keys(POLICE, kid, "at+jwt")
    assert caught.value.problem is Problem.REVOKED
    # A list of another kind of issuer: the anchor's pinned key, and no other, speaks for the anchor.
    assert await problem_of(revocations, revocation_list(ANCHOR, bench.anchor_key)) is Problem.KEY
    await revocations.admit(desk.anchor())


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": NOW + 301},
        {"iat": NOW + 6, "exp": NOW + 300},
        {"iat": NOW - 306, "exp": NOW - 6},
        {"sub": CARE},
        {"aud": CARE},
        {"seq": True},
        {"seq": "7"},
        {"revoked": []},
        {"revoked": {"kids": ["x"]}},
    ],
)
async def test_a_list_that_is_old_early_or_malformed_is_refused(desk: Desk, claims: dict[str, Any]) -> None:
    said = {"iss": POLICE, "sub": POLICE, "iat": NOW, "exp": NOW + 300, "jti": "1", "seq": NOW, "revoked": {}}
    key = desk.bench.police.revocations
    forged = forge(header_of("isthmus-revocation+jwt", key), {**said, **claims}, key.secret)
    await problem_of(desk.opened(), forged)
    assert desk.bench.federation.lists() == []


async def test_a_lower_number_is_refused_after_a_restart_too(desk: Desk) -> None:
    revocations = desk.opened()
    desk.clock.at = NOW + 100
    desk.bench.clock.now = NOW + 100
    await revocations.admit(desk.police(NOW + 100))
    assert await problem_of(revocations, desk.police(NOW)) is Problem.OLDER
    trust, again = desk.restarted()
    for chain in (chain_of(desk.bench.police, desk.bench.anchor_key), chain_of(desk.bench.care, desk.bench.anchor_key)):
        await trust.believe(chain)
    # Even if the process had forgotten to read its store.
    assert await problem_of(again, desk.police(NOW)) is Problem.OLDER
    trust, again = desk.restarted()
    await again.restore()
    await trust.restore()
    assert await problem_of(again, desk.police(NOW)) is Problem.OLDER
    await again.admit(desk.police(NOW + 101))


async def test_nothing_that_was_revoked_comes_back(desk: Desk) -> None:
    revocations = desk.opened()
    kid = desk.bench.police.tokens.kid
    await revocations.admit(desk.police(kids=[kid]))
    assert await problem_of(revocations, desk.police(claims={"seq": NOW + 1})) is Problem.TAKEN_BACK
    assert await problem_of(revocations, desk.police(kids=[kid], jtis=["x"])) is Problem.TAKEN_BACK  # the same number
    await revocations.admit(desk.police(kids=[kid], jtis=["x"], claims={"seq": NOW + 2}))


async def test_whoever_brings_a_list_that_is_refused_is_in_the_audit_log_once(desk: Desk) -> None:
    revocations = desk.opened()
    await revocations.admit(desk.police(claims={"seq": NOW + 200}))
    older, forged = desk.police(), revocation_list(POLICE, desk.bench.police.tokens)
    for _ in range(3):
        problem = await revocations.hear([older], POLICE)
        assert problem is not None
        assert problem.reason is Reason.REVOCATION_STALE
        assert await revocations.hear([forged], ANCHOR) is None
    assert [(fact.kind, fact.subject, fact.about) for fact in desk.log.facts] == [
        ("revocation.refused", POLICE, POLICE),
        ("revocation.refused", ANCHOR, POLICE),
    ]
    assert "OLDER" in desk.log.facts[0].detail
    # Another peer that has not heard of the newer one does nothing wrong; one's own gateway would.
    await revocations.hear([desk.police(claims={"seq": NOW + 1})], ANCHOR)
    assert len(desk.log.facts) == 2
    await revocations.hear([desk.police(claims={"seq": NOW + 2})], CARE)
    assert len(desk.log.facts) == 3
    # One that was on its way while a newer one arrived is passed over, and not believed.
    assert await revocations.hear([desk.police(claims={"seq": NOW + 199}, jtis=["x"])], POLICE) is None
    assert not desk.bench.federation.token_revoked(POLICE, "x")
    assert len(desk.log.facts) == 3


async def test_a_token_that_its_issuer_takes_back_is_refused(desk: Desk) -> None:
    bench, revocations = desk.bench, desk.opened()
    fresh = forge(header_of("at+jwt", bench.care.tokens), at_claims(_print()), bench.care.tokens.secret)
    await at(bench, fresh)
    await revocations.admit(revocation_list(POLICE, bench.police.revocations, jtis=["token-1"]))
    await at(bench, fresh)
    await revocations.admit(revocation_list(CARE, bench.care.revocations, jtis=["token-1"]))
    assert (await refused_at(bench, fresh)).problem is Problem.REVOKED


def _print() -> str:
    from tests.unit.trust_kit import THUMBPRINT as presented

    return presented


async def test_a_revoked_federation_key_breaks_the_chain_it_signed_and_every_further_one(desk: Desk) -> None:
    bench, revocations = desk.bench, desk.opened()
    await revocations.admit(desk.police(kids=[bench.police.federation.kid]))
    assert bench.federation.entity(POLICE) is None
    assert [entity.entity_id for entity in bench.federation.entities()] == [CARE]
    with pytest.raises(TokenProblem) as caught:
        bench.federation.admit(chain_of(bench.police, bench.anchor_key, NOW + 1))
    assert caught.value.problem is Problem.REVOKED
    # With another key that the anchor vouches for, the space is back.
    renewed = replace(bench.police, federation=new_signing_key())
    bench.federation.admit(chain_of(renewed, bench.anchor_key))
    assert bench.federation.entity(POLICE) is not None


async def test_an_anchor_that_revokes_its_own_key_takes_everything_below_with_it(desk: Desk) -> None:
    revocations = desk.opened()
    await revocations.admit(desk.anchor(kids=[desk.bench.anchor_key.kid]))
    assert desk.bench.federation.entities() == []
    withdrawn = desk.bench.federation.withdrawn(POLICE)
    assert withdrawn is not None
    assert (withdrawn.reason, withdrawn.space) == (Reason.REVOKED, POLICE)
    assert ANCHOR in withdrawn.public


async def test_a_revoked_revocation_key_has_had_its_last_word(desk: Desk) -> None:
    bench, revocations = desk.bench, desk.opened()
    kid = bench.police.revocations.kid
    await revocations.admit(desk.police(kids=[kid]))
    last = desk.police(kids=[kid], claims={"seq": NOW + 1})
    assert await problem_of(revocations, last) is Problem.REVOKED
    # It outlives a restart, although nobody would read it now.
    trust, again = desk.restarted()
    await again.restore()
    assert trust.standing.key(POLICE, kid) == POLICE
    # Under another key, vouched for by its chain, the space goes on.
    renewed = replace(bench.police, revocations=new_signing_key())
    bench.federation.admit(chain_of(renewed, bench.anchor_key))
    await revocations.admit(revocation_list(POLICE, renewed.revocations, kids=[kid], claims={"seq": NOW + 2}))


async def test_an_entity_that_revoked_itself_can_still_revoke_and_come_back(desk: Desk) -> None:
    revocations, trust = desk.opened(), desk.bench.federation
    await revocations.admit(desk.police(entities=[POLICE]))
    assert trust.entity(POLICE) is None
    await revocations.admit(desk.police(entities=[POLICE], jtis=["x"], claims={"seq": NOW + 1}))
    await revocations.admit(desk.police(jtis=["x"], claims={"seq": NOW + 2}))
    assert trust.entity(POLICE) is not None


async def test_lists_of_an_anchor_whose_key_is_pinned_no_longer_do_not_bind_after_a_restart(desk: Desk) -> None:
    await desk.opened().admit(desk.anchor(entities=[POLICE]))
    stolen = anchor_of(desk.bench.anchor_key)
    replaced = replace(stolen, revocation_keys=(new_signing_key().jwk,))
    for anchor, bound in ((stolen, ANCHOR), (replaced, None)):
        trust = Federation([anchor], desk.clock.now, desk.beliefs)
        await desk.opened(trust).restore()
        assert trust.standing.entity(POLICE) == bound


async def test_what_was_believed_is_known_after_a_restart_before_anybody_answers(desk: Desk) -> None:
    trust, _ = desk.restarted()
    police = chain_of(desk.bench.police, desk.bench.anchor_key, NOW)
    await trust.believe(police)
    desk.clock.at = NOW + 100
    newer = chain_of(desk.bench.police, desk.bench.anchor_key, NOW + 100)
    await trust.believe(newer)
    again, _ = desk.restarted()
    await again.restore()
    assert again.chains() == [tuple(newer)]
    with pytest.raises(TokenProblem) as caught:
        await again.believe(police)
    assert caught.value.problem is Problem.OLDER
    # A process that did not look into its store is told by it.
    forgetful, _ = desk.restarted()
    with pytest.raises(TokenProblem):
        await forgetful.believe(police)
    assert forgetful.chains() == [tuple(newer)]
    desk.clock.at = NOW + 2 * 86400
    later, _ = desk.restarted()
    await later.restore()
    assert later.entities() == []


async def test_followers_hear_of_chains_and_lists_and_whether_they_revoke(desk: Desk) -> None:
    heard: list[News] = []
    desk.bench.federation.follow(heard.append)
    revocations = desk.opened()
    quiet, loud = desk.police(), desk.police(jtis=["x"], claims={"seq": NOW + 1})
    for token in (quiet, quiet, loud):
        await revocations.admit(token)
    assert heard == [News(lists=(quiet,)), News(lists=(loud,), revokes=True)]
    chain = tuple(chain_of(desk.bench.police, desk.bench.anchor_key, NOW + 1))
    desk.bench.federation.admit(chain)
    desk.bench.federation.admit(chain)
    assert heard[2:] == [News(chains=(chain,))]


async def test_a_session_needs_fresh_lists_of_everybody_in_it_and_over_them() -> None:
    spaces = {entity: new_space(EntityId(entity)) for entity in examples.spaces()}
    anchor_key, clock = new_signing_key(), FakeClock()
    trust = Federation([anchor_of(anchor_key, *map(EntityId, spaces))], clock.now)
    for space in spaces.values():
        trust.admit(chain_of(space, anchor_key))
    contract = examples.contract()
    strict, lenient = (
        Revocations(examples.HOME, trust, MemoryBeliefs(), MemoryAuditLog(), clock, grace=grace) for grace in (0, 600)
    )
    signers: dict[EntityId, SigningKey] = {space.entity_id: space.revocations for space in spaces.values()}
    signers[ANCHOR] = ANCHOR_REVOCATIONS
    concerned = [EntityId(e) for e in dict.fromkeys((*contract.entities(), contract.initiator))]
    for issuer in [*concerned, ANCHOR]:
        with pytest.raises(IsthmusError) as caught:
            strict.check(contract)
        assert caught.value.reason is Reason.REVOCATION_STALE
        assert caught.value.space == issuer
        assert issuer in caught.value.public
        await strict.admit(revocation_list(issuer, signers[issuer]))
    strict.check(contract)
    clock.at = NOW + 300
    strict.check(contract)
    clock.at = NOW + 301
    with pytest.raises(IsthmusError) as caught:
        strict.check(contract)
    assert caught.value.reason is Reason.REVOCATION_STALE
    assert "5 min 1 s" in caught.value.public
    lenient.check(contract)
    clock.at = NOW + 901
    with pytest.raises(IsthmusError):
        lenient.check(contract)
    clock.at = NOW - 6  # the clock was set back: how old they are cannot be known
    with pytest.raises(IsthmusError):
        lenient.check(contract)
    # Lists that nobody else would read any more are not passed on.
    clock.at = NOW + 299
    assert len(strict.all()) == len(concerned) + 1
    clock.at = NOW + 301
    assert strict.all() == []


async def test_a_process_says_that_a_key_of_its_own_was_revoked(desk: Desk) -> None:
    kid = desk.bench.care.tokens.kid
    revocations = Revocations(
        CARE, desk.bench.federation, desk.beliefs, desk.log, desk.clock, own_keys=lambda: {kid: "token"}
    )
    revocations.check_own_keys()
    await revocations.admit(revocation_list(CARE, desk.bench.care.revocations, kids=[kid]))
    with pytest.raises(IsthmusError) as caught:
        revocations.check_own_keys()
    assert caught.value.reason is Reason.REVOKED
    assert caught.value.public == f"the token key {kid} of {CARE} was revoked by itself"


def test_a_revoked_certificate_or_ca_names_nobody() -> None:
    bench = new_bench()
    authority = bench.police.authority
    leaf = client_certificate(authority, POLICE, Role.GATEWAY, NOW).certificate_pem
    holder = holder_of(leaf, POLICE, authority.certificate_pem, NOW, lambda kid: False)
    (ca,) = keys_of(authority.certificate_pem)
    assert holder.kid == kid_of(leaf)
    for kid in (holder.kid, ca):
        with pytest.raises(TokenProblem):
            holder_of(leaf, POLICE, authority.certificate_pem, NOW, lambda given, kid=kid: given == kid)  # type: ignore[misc]
    both = authority.certificate_pem + bench.care.authority.certificate_pem
    assert without_revoked(both, lambda kid: kid == ca) == bench.care.authority.certificate_pem
    assert without_revoked(both, lambda kid: False) == both


async def test_an_entity_is_shown_without_its_revoked_keys_and_cas(desk: Desk) -> None:
    bench, revocations = desk.bench, desk.opened()
    (ca,) = keys_of(bench.police.authority.certificate_pem)
    before = bench.federation.entity(POLICE)
    await revocations.admit(desk.police())
    assert bench.federation.entity(POLICE) is before
    await revocations.admit(desk.anchor(kids=[ca, bench.police.contracts.kid]))
    shown = bench.federation.entity(POLICE)
    assert shown is not None
    assert (shown.tls_ca, shown.contract_keys) == ("", ())
    assert shown.token_keys == (bench.police.tokens.jwk,)
    severed = bench.federation.severed()
    assert severed[POLICE].reason is Reason.REVOKED
    assert bench.federation.severed() == {}


# The herald.


async def test_a_herald_says_that_there_is_something_new_once(desk: Desk, tmp_path: Path) -> None:
    revocations = desk.opened()
    key = desk.bench.care.revocations
    own = OwnList(CARE, lambda: key, desk.beliefs, tmp_path / "revoked.toml", desk.clock, FakeIds())
    pushed: list[int] = []

    async def push() -> None:
        pushed.append(1)

    herald = Herald(own, revocations, push)
    assert not await herald.look()
    add_entry(tmp_path / "revoked.toml", Entry("token", "t", NOW))
    assert await herald.look()
    assert not await herald.look()
    assert desk.bench.federation.token_revoked(CARE, "t")
    assert [belief.issuer for belief in await desk.beliefs.all(LISTS)] == [CARE]


async def test_what_an_anchor_newly_revokes_is_passed_on_at_once_and_once(desk: Desk, tmp_path: Path) -> None:
    key, pushed = desk.bench.care.revocations, asyncio.Queue[str]()
    own = OwnList(CARE, lambda: key, desk.beliefs, tmp_path / "revoked.toml", desk.clock, FakeIds())

    async def push() -> None:
        pushed.put_nowait("told")

    herald = Herald(own, desk.opened(), push)
    await herald.heard(ANCHOR, desk.anchor())
    revoking = desk.anchor(entities=[POLICE], claims={"seq": NOW + 1})
    for _ in range(2):
        await herald.heard(ANCHOR, revoking)
    assert await pushed.get() == "told"
    await herald.heard(ANCHOR, desk.anchor(entities=[POLICE], claims={"seq": NOW + 2}))
    await asyncio.sleep(0)
    assert pushed.empty()
