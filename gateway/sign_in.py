"""From configuration to what signs people in: providers, the file of people, and the login page where there is one."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from gateway.config import GatewayConfig, broken
from gateway.edges.oidc import Provider, Providers
from gateway.edges.own_tokens import SignedTokens
from gateway.edges.people import NoPeople, PeopleFile, listed
from gateway.edges.store.database import Database
from gateway.flows.sign_in import SigningIn
from gateway.ports import Clock, Ids
from gateway.rules.jose import TokenProblem


def build(settings: GatewayConfig, database: Database, tokens: SignedTokens, clock: Clock, ids: Ids) -> SigningIn:
    """Raises IsthmusError(CONFIGURATION) for keys or a file of people that cannot be used."""
    providers = [
        Provider(
            item.name,
            item.issuer,
            item.audience,
            item.jwks,
            item.algorithms,
            item.longest_age,
            tuple(rule.rule for rule in item.people),
        )
        for item in settings.providers
    ]
    for provider in providers:
        try:
            provider.keys()
        except TokenProblem as problem:
            raise broken(
                f"the keys of provider {provider.name} cannot be used: {problem.private}",
                "providers.jwks",
                f"Save the keys that {provider.issuer} publishes as {provider.jwks}",
            ) from problem
    if settings.login is not None:
        listed(settings.login.people)  # refuses to start with a file that does not hold
    people = PeopleFile(settings.login.people) if settings.login else NoPeople()
    return SigningIn(
        entity=settings.entity,
        clock=clock,
        ids=ids,
        once=database.once,
        store=database.sign_ins,
        audit=database.audit,
        tokens=tokens,
        providers=Providers(providers, clock),
        people=people,
        clients={client.id: client.grant for client in settings.clients},
        for_people=frozenset(client.id for client in settings.clients if client.for_people),
    )


def page(settings: GatewayConfig, signing_in: SigningIn, clock: Clock) -> AbstractAsyncContextManager[int]:
    """The login page, served until the context ends; its port. Needs the extra `console`."""
    if settings.login is None:
        raise ValueError("no login page is configured")
    # Here, so that a gateway without a login page needs neither Starlette nor uvicorn.
    from gateway.edges.login.pages import Pages
    from gateway.edges.login.server import serving

    redirects = {client.id: client.redirects for client in settings.clients}
    secure = settings.login.key is not None
    pages = Pages(signing_in, settings.operator.name, redirects, clock, secure=secure)
    return serving(pages.app(), settings.login.listen, settings.login.certificate, settings.login.key)
