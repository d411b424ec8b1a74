"""The closed code lists of policies: purposes, legal bases, roles, jurisdictions. Data, each with where it comes from.

Invariant: a code that stands here keeps its meaning; nothing else is a purpose, a legal basis, a role or a country, but
national law, which a policy declares itself as `national-XX-...`.
"""

from __future__ import annotations

import re

# What a joint statistic may be made for. The first two are the founding uses; the others follow the tasks of national
# rapporteurs (Directive 2011/36/EU, Article 19, and Directive (EU) 2024/1712, which widens it) and Article 89 GDPR.
PURPOSES = {
    "trend-monitoring": "Monitor how a phenomenon develops over time",
    "prevalence-estimation": "Estimate how many people are affected, the unseen among them",
    "rapporteur-reporting": "Report to a national rapporteur or equivalent mechanism",
    "policy-evaluation": "Evaluate measures and laws",
    "service-planning": "Plan shelter, care and other services",
    "resource-planning": "Plan where inspection and investigation are needed, of no person in particular",
    "risk-analysis": "Analyse forms, routes and sectors, of no person in particular",
    "official-statistics": "Make official statistics (Regulation (EC) No 223/2009)",
    "scientific-research": "Scientific research (GDPR Article 89)",
    "criminal-investigation": "Investigate or prosecute an offence, in one case (Directive (EU) 2016/680 Article 1(1))",
    "data-quality": "See how complete and how overlapping lists are",
}

# As what somebody asks. Who meets victims: the officials of Directive 2011/36/EU, recital 25, in its order, care and
# legal aid (its Articles 11 and 12). Who counts: its Article 19, Regulation (EC) No 223/2009, and Article 89 GDPR. Who
# watches over both: Articles 37 to 39 GDPR and 32 to 34 of Directive (EU) 2016/680.
ROLES = {
    "investigator": "Investigates offences, with the police or another competent authority",
    "border-guard": "Guards a border",
    "immigration-officer": "Decides on entry, stay and asylum",
    "prosecutor": "Prosecutes offences",
    "judge": "Judges, or works at a court",
    "inspector": "Inspects labour, housing, health or another sector",
    "care-worker": "Gives shelter, social or health care, or other help to victims",
    "legal-counsel": "Gives legal aid to victims",
    "consular-officer": "Works at a consulate",
    "analyst": "Analyses trends, forms and routes for an organisation that takes part",
    "rapporteur": "Works for a national rapporteur or equivalent mechanism",
    "statistician": "Makes official statistics",
    "researcher": "Does scientific research",
    "policy-officer": "Prepares or evaluates measures and laws",
    "data-protection-officer": "Watches over the protection of personal data",
}

_GDPR_6 = {  # Regulation (EU) 2016/679, Article 6(1)
    "a": "consent",
    "b": "contract",
    "c": "legal obligation",
    "d": "vital interests",
    "e": "public interest or official authority",
    "f": "legitimate interests",
}
_GDPR_9 = {  # Regulation (EU) 2016/679, Article 9(2)
    "a": "explicit consent",
    "b": "employment and social protection law",
    "c": "vital interests of somebody who cannot consent",
    "d": "members of a not-for-profit body",
    "e": "manifestly made public",
    "f": "legal claims and courts",
    "g": "substantial public interest",
    "h": "health and social care",
    "i": "public health",
    "j": "archiving, research and statistics",
}
_LED_10 = {  # Directive (EU) 2016/680, Article 10
    "a": "authorised by Union or Member State law",
    "b": "vital interests",
    "c": "manifestly made public",
}
LEGAL_BASES = {
    **{f"gdpr-6-1-{letter}": f"GDPR Article 6(1)({letter}): {text}" for letter, text in _GDPR_6.items()},
    **{f"gdpr-9-2-{letter}": f"GDPR Article 9(2)({letter}): {text}" for letter, text in _GDPR_9.items()},
    # Directive (EU) 2016/680, Article 8
    "led-8": "Directive (EU) 2016/680 Article 8: necessary for a task of a competent authority, based on law",
    **{f"led-10-{letter}": f"Directive (EU) 2016/680 Article 10({letter}): {text}" for letter, text in _LED_10.items()},
}
NATIONAL_LAW = re.compile(r"national-([A-Z]{2})-[a-z0-9][a-z0-9-]{0,62}")

# ISO 3166-1 alpha-2, officially assigned codes (ISO 3166 Maintenance Agency), 249 of them.
_ASSIGNED = """
    AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ
    CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR
    GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO
    JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR
    MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO
    RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV
    TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW
"""
COUNTRIES = frozenset(_ASSIGNED.split())
# Treaty on European Union, Article 52, as it stands since 1 February 2020 (Greece by its ISO code).
_MEMBERS = "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK"
MEMBER_STATES = frozenset(_MEMBERS.split())
UNION, ANYWHERE = "EU", "*"


def covers(allowed: tuple[str, ...], jurisdiction: str) -> bool:
    """Whether a list of countries has this one: by name, as a member state, or because it allows all."""
    return (
        ANYWHERE in allowed
        or jurisdiction in allowed
        or (UNION in allowed and jurisdiction in MEMBER_STATES)
    )  # fmt: skip
