"""The files that `isthmus gateway init` writes, but for keys and certificates. `$name` is filled in as TOML."""

from __future__ import annotations

GATEWAY = """\
# The gateway of one data space. Paths are relative to this file; unknown keys are refused.

# Your entity ID: who you are to the federation. Its host name stands in your certificates.
entity = $entity
# The one port: clients, peers, the agent and all session traffic.
listen = $listen
# host:port under which peers reach that port.
endpoint = $endpoint
# SQLite beside this file; PostgreSQL is postgresql+asyncpg://user@host/name.
database = "sqlite+aiosqlite:///gateway.db"
# What the anchor of your federation says about you: `isthmus trust join` fetches it, the gateway keeps it fresh.
statement = "anchor/statement.jwt"
admit = "anchored"

[operator]
name = $operator
# Operators of one group, and affiliates, count as one pair of hands when seats are assigned.
group = $group
affiliates = []
# Two letters of ISO 3166-1, or EU.
jurisdiction = $jurisdiction
# Seats for parties that you offer; 0 for data only.
seats = 1

# Each names a ring: a small file that says which key is in use since when, beside the key itself.
# `isthmus trust keys` shows them, `isthmus trust rotate` puts the next key in.
[keys]
federation = "keys/federation.ring.json"
token = "keys/token.ring.json"
recipient = "keys/recipient.ring.json"
# It can only revoke: your other keys, tokens, contracts, yourself.
revocation = "keys/revocation.ring.json"
# The agent's, whose public side is read here: its secret never lies with the gateway.
contract = "agent/contract.ring.json"

# Rings of certificates, of this space's own CA; those of the port and of calls to peers live 90 days.
[tls]
ca = "tls/ca.ring.json"
server = "tls/gateway.ring.json"
client = "tls/to-peers.ring.json"

# Peers are all whom an anchor of yours vouches for ("anchored"), or only those with a [[peers]] table ("listed").
# Whom you trust to say who is who stands at the end of this file: `isthmus trust join` writes it there.

# One table per client. Scopes: catalogue, compute, operate, steward. "*" allows every dataset, statistic or purpose.
[[clients]]
id = $client
scopes = ["catalogue", "compute"]
datasets = ["*"]
statistics = ["*"]
purposes = ["*"]
# As what it asks, which contracts say: docs/configuration.md has the list.
roles = []

# With it stewards decide, and change policies, from their own machines: docs/approvals.md. It asks nothing.
[[clients]]
id = $steward
scopes = ["steward"]

# The gateway starts this agent as its child. Leave the table out where the agent runs by itself, as another
# user or on another machine, which keeps shares and approvals out of reach of a broken-in gateway.
[agent]
config = "agent/agent.toml"

[log]
level = "info"
"""

AGENT = """\
# The agent: the process next to the data. It dials its gateway and listens on nothing.
# Paths are relative to this file; the folder can be moved to another user or machine as a whole, together with the
# certificate of the space's CA (with its ring, without its key).

entity = $entity
gateway = $own_gateway
database = "sqlite+aiosqlite:///agent.db"
# As many as gateway.toml says.
seats = 1
# One file per dataset.
datasets = ["datasets/example.toml"]

[keys]
# Signs offers, approvals and receipts. Nobody else may read its secrets, the gateway least of all.
contract = "contract.ring.json"
# Output shares of released results are kept under it, so that a repeat is answered from them; made at the first start.
storage = "storage.pem"

[tls]
ca = "../tls/ca.ring.json"
agent = "agent.ring.json"

# The agent checks signatures itself, by pins of its own: `isthmus trust join` writes them at the end of this file.

[log]
level = "info"
"""

DATASET = """\
# One dataset: what is described here is public in your federation, its rows never leave.
# The example describes data/example.csv, which holds three made-up people.

id = "example"
title = "People known to us"
description = "Made-up people, to try things out"
vocabulary = "HTCDS v2"
coverage = "One city, 2024"
folder = "../data"
file = "example.csv"
# 32 random bytes that pin the rows of an edition, so that a change is noticed and nobody can guess at them.
snapshot_key = "example.key"
# Who may ask what: a file of its own, which others review.
policy = "example.policy.toml"
# Columns that identify a person, in every source alike.
key_columns = ["first_name", "last_name", "birth_date"]

# Types: text, date, integer, code. A code list belongs to a column of codes.
[[columns]]
name = "first_name"
type = "text"

[[columns]]
name = "last_name"
type = "text"

[[columns]]
name = "birth_date"
type = "date"

[[columns]]
name = "referred"
type = "date"

[[columns]]
name = "form"
type = "code"
label = "Form of exploitation"
codes = [{ value = "labour", label = "Labour" }, { value = "sexual", label = "Sexual" }]

[[columns]]
name = "year"
type = "code"
label = "Year of referral"
codes = [{ value = "2024" }]

# A column that is derived here: the year of a date.
[[derived]]
column = "year"
year_of = "referred"

# An edition is one state of the data and never changes; new data are a new edition.
# `row_bound` is public: what the number of people is padded to.
[edition]
id = "2024-1"
created = $today
row_bound = 128
"""

POLICY = """\
# Who may ask what of a dataset. A cell under `minimum_cell` is suppressed before anything is opened;
# `exact_statistics` may be released without that.
# Count it up with every change: the catalogue shows it.
version = 1
spaces = ["*"]
purposes = ["trend-monitoring"]
legal_bases = ["gdpr-6-1-e"]
statistics = ["count_by"]
minimum_cell = 11
exact_statistics = []
zero_is_small = false
minimum_seats = 3
"""

DATA = """\
first_name,last_name,birth_date,referred,form
Ada,Example,1990-01-31,2024-02-01,labour
Ben,Example,1985-06-15,2024-03-17,sexual
Cleo,Example,1999-12-24,2024-05-09,labour
"""

ANCHOR = """\
# The anchor of a federation. Paths are relative to this file; unknown keys are refused.

# Who vouches: the entity ID that members pin. Its host name stands in the certificate of the port.
entity = $entity
# The one port. It asks for no client certificate: whoever joins has none yet.
listen = $listen
# host:port under which members reach that port, as invitations say it.
address = $address
# SQLite beside this file; PostgreSQL is postgresql+asyncpg://user@host/name.
database = "sqlite+aiosqlite:///anchor.db"
# The names for which this anchor vouches: an entity ID and what lies under it, or every host below one.
# Members pin them when they join; widening them later needs every member's consent.
prefixes = $prefixes

[keys]
# Secret, mode 0600. Whoever has the first can vouch for anybody within the prefixes.
federation = "keys/federation.pem"
# It can only revoke.
revocation = "keys/revocation.pem"

# Certificates of the anchor's own CA, which invitations carry. The CA's key is not needed here: keep it offline.
[tls]
ca = "tls/ca.pem"
certificate = "tls/anchor.pem"
key = "tls/anchor.key.pem"

[log]
level = "info"
"""

PINS = """
# Pinned by `isthmus trust join` on $about.
[[anchors]]
entity = $entity
keys = $keys
revocation_keys = $revocation_keys
# Under these names it is believed, and under no others.
prefixes = $prefixes
"""

POLLED = """\
# Asked every few seconds who is a member.
address = $address
tls_ca = $tls_ca
"""

PROFILE = """\
# For a client of this gateway: isthmus --profile, or $$ISTHMUS_PROFILE. Paths are relative to this file.
gateway = $own_gateway
server_name = $host
ca = "ca.pem"
certificate = "analyst.pem"
key = "analyst.key.pem"
"""
STEWARD_PROFILE = PROFILE.replace("analyst.", "steward.")

FILES = {
    "gateway.toml": GATEWAY,
    "agent/agent.toml": AGENT,
    "agent/datasets/example.toml": DATASET,
    "agent/datasets/example.policy.toml": POLICY,
    "agent/data/example.csv": DATA,
    "client/profile.toml": PROFILE,
    "steward/profile.toml": STEWARD_PROFILE,
}
