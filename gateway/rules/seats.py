"""Who may sit: the honest-majority rules of DESIGN section 5, as data in and a refusal out.

Invariants: m odd, 3 ≤ m ≤ 7, t = (m − 1)/2, and never more than t seats in the same hands, where hands
are an operator with all its spaces, its group, and whoever either has declared an affiliate. Nothing here
relies on `assert`, so `python -O` changes nothing. Every refusal says what would pass.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from gateway.domain.contract import Seat
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.offer import Operator, Space

SIZES = (3, 5, 7)


def hands(operators: Iterable[Operator]) -> dict[str, str]:
    """Entity ID → a representative entity of the hands it is in.

    One operator, one group, or an affiliation that either declared (by entity ID, name or group) puts two entities
    into the same hands, through third parties too, whether or not those are known here. Names are compared
    without regard to case: in doubt two spaces are in the same hands, which can only cost a seat.
    """
    parent: dict[str, str] = {}

    def root(label: str) -> str:
        while parent.setdefault(label, label) != label:
            label = parent[label]
        return label

    everyone = sorted(operators, key=lambda operator: operator.entity)
    for operator in everyone:
        for label in (operator.name, operator.group, *operator.affiliates):
            if label.strip():
                parent[root(_label(label))] = root(_label(operator.entity))
    first: dict[str, str] = {}
    return {operator.entity: first.setdefault(root(_label(operator.entity)), operator.entity) for operator in everyone}


def _label(name: str) -> str:
    return name.strip().casefold()


def check_sizes(m: int, t: int) -> None:
    """Raises IsthmusError(SEATS_REFUSED) unless m and t give an honest majority."""
    if m == 2:
        raise _refused(
            "two parties cannot compute securely with an honest majority: with threshold 0 each would see the "
            "other's values in the clear",
            "Ask for 3 seats, one of them at a neutral operator",
        )
    if m not in SIZES:
        raise _refused(f"{m} seats were asked for", "Ask for 3, 5 or 7 seats")
    if t != (m - 1) // 2 or t < 1 or 2 * t >= m:
        raise _refused(f"threshold {t} does not fit {m} seats", f"With {m} seats the threshold is {(m - 1) // 2}")


def check_seats(m: int, t: int, seats: Sequence[Seat], operators: Mapping[str, Operator]) -> None:
    """Raises IsthmusError(SEATS_REFUSED) unless these seats may run a session."""
    check_sizes(m, t)
    if [seat.pid for seat in seats] != list(range(m)):
        raise _refused(f"the contract names {len(seats)} seats for {m} parties", "Number the seats 0 to m − 1")
    for seat in seats:
        if seat.entity not in operators:
            raise _refused("a seat is with an operator unknown here", "Join that operator first", seat.entity)
        if operators[seat.entity].name != seat.operator:
            raise _refused(
                "a seat's operator is not whom its space names",
                "Make the plan again from verified statements",
                seat.entity,
            )
    owner = hands(operators.values())
    for holder, count in Counter(owner[seat.entity] for seat in seats).items():
        if count > t:
            names = sorted({operators[seat.entity].name for seat in seats if owner[seat.entity] == holder})
            raise _refused(
                f"{count} of {m} seats are in the same hands ({', '.join(names)}), more than the threshold {t}",
                f"Leave them at most {t} of {m} seats and add operators that are not their affiliates",
                holder,
            )


def assign(count: int, allowed: Sequence[str], first: Sequence[str], spaces: Mapping[str, Space]) -> tuple[Seat, ...]:
    """Choose `count` seats, one per hands: spaces with data in the query first, then neutral ones.

    `allowed` limits the choice when it is not empty; `first` lists the data owners in query order.
    """
    check_sizes(count, (count - 1) // 2)
    for entity in allowed:
        if entity not in spaces:
            meant = f"https://{entity}"
            advice = (
                f"Did you mean {meant}?" if meant in spaces else "See `isthmus spaces`; a space is named https://HOST"
            )
            raise _refused("the query wants a seat at a space unknown here", advice, entity, field="seats.at")
    owner = hands(space.operator for space in spaces.values())
    order = [*first, *sorted(entity for entity in spaces if entity not in first)]
    chosen: dict[str, str] = {}
    for entity in order:
        space = spaces.get(entity)
        if space is None or space.offer.seats < 1 or not space.reachable or (allowed and entity not in allowed):
            continue
        if space.objection is not None:
            continue
        chosen.setdefault(owner[entity], entity)
    if len(chosen) < count:
        for entity in allowed or order:
            if entity in spaces and spaces[entity].offer.seats and owner[entity] not in chosen:
                check_standing(spaces[entity], "seats.at" if allowed else "seats")
        where = ", ".join(sorted(chosen.values())) or "nobody"
        spare = sorted(
            entity
            for entity, space in spaces.items()
            if space.offer.seats and space.objection is None and owner[entity] not in chosen
        )
        missing = count - len(chosen)
        more = (
            "a neutral operator's seat" if missing == 1 else f"the seats of {missing} more operators, neutral ones say"
        )
        hint = f", for example {', '.join(spare[:missing])}" if len(spare) >= missing else ""
        possible = max((m for m in SIZES if m <= len(chosen)), default=0)
        fewer = f", or ask for {possible} seats" if possible and not hint else ""
        raise _refused(
            f"{count} seats need {count} operators in different hands, and only {len(chosen)} can take one: {where}",
            f"Add {more}{hint}{fewer}",
            field="seats",
        )
    # Data owners keep their place at the table; ties are broken by entity ID, so every space sees the same order.
    entities = list(chosen.values())[:count]
    return tuple(Seat(pid, entity, spaces[entity].operator.name) for pid, entity in enumerate(entities))


def placed(entities: Sequence[str], count: int, spaces: Mapping[str, Space]) -> tuple[Seat, ...]:
    """These spaces by pid, if they can sit there now; else none."""
    known = [spaces[entity] for entity in entities if entity in spaces]
    seated = tuple(Seat(pid, space.operator.entity, space.operator.name) for pid, space in enumerate(known))
    short = any(
        not space.reachable or space.objection is not None or space.offer.seats < entities.count(space.operator.entity)
        for space in known
    )
    if len(seated) != count or len(entities) != count or short:
        return ()
    try:
        check_seats(count, (count - 1) // 2, seated, {entity: space.operator for entity, space in spaces.items()})
    except IsthmusError:
        return ()
    return seated


def check_standing(space: Space, field: str) -> None:
    """Raises IsthmusError with what is against sessions with this space, if anything is."""
    if (against := space.objection) is not None:
        raise IsthmusError(
            against.reason, against.text, field=field, space=space.operator.entity, advice=against.advice
        )  # fmt: skip


def smallest_group(t: int, seats: Sequence[Seat], operators: Mapping[str, Operator]) -> tuple[str, ...]:
    """The fewest operators whose seats together exceed t, by name: they would see everything."""
    owner = hands(operators.values())
    counts = Counter(owner[seat.entity] for seat in seats)
    group: list[str] = []
    seen = 0
    for holder, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        if seen > t:
            break
        seen += count
        group.extend(sorted({seat.operator for seat in seats if owner[seat.entity] == holder}))
    return tuple(group)


def _refused(public: str, advice: str, space: str = "", *, field: str = "") -> IsthmusError:
    return IsthmusError(Reason.SEATS_REFUSED, public, advice=advice, space=space, field=field)
