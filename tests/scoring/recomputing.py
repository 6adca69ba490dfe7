"""Everybody's numbers anew from the journal alone, in closed form: no effects, no differences, no order of rows."""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

from services.scoring.rankkey import rank_key

ACTS = {
    3: "joined",
    5: "post",
    6: "post",
    7: "post",
    8: "comment",
    9: "comment",
    10: "reaction",
    11: "reaction",
    12: "share",
}
TAKES_BACK = {6, 9, 11}
NAMES = {
    "post": "post_published",
    "comment": "comment_added",
    "reaction": "reaction_added",
    "share": "content_shared",
    "joined": "member_joined",
    "order": "purchase",
}
SHIPPED = {
    "acts": {
        "post_published": {"weight": 10, "points": 10, "daily_cap": 5},
        "comment_added": {"weight": 5, "points": 5, "daily_cap": 10},
        "reaction_added": {"weight": 1, "points": 1, "daily_cap": 20},
        "content_shared": {"weight": 8, "points": 8, "daily_cap": 5},
        "member_joined": {"weight": 5, "points": 0},
        "purchase": {"weight": 20, "points": 0, "minor_units_per_point": 100},
    },
    "commission_basis_points": [1000],
    "commission_hold_days": 15,
}

Who = tuple[str, str, Any]
"""(organization, person, community)"""


async def _rules(connection: Any) -> Mapping[int, Any]:
    rows = await connection.fetch("select ruleset, rules::text from ruleset_versions")
    return {1: SHIPPED} | {number: json.loads(rules) for number, rules in rows}


async def _journal(connection: Any) -> list[Any]:
    rows: list[Any] = await connection.fetch(
        """
        select communities.organization, person, community, kind, coalesce(act_day - date '1970-01-01', 0) as day,
               act_id::text, amount, details::text, ruleset
          from journal
          join communities using (community_no)
          join persons using (person_no)
        """
    )
    return rows


async def recomputed(connection: Any) -> list[tuple[Any, ...]]:
    """(organization, person, community, rank key, points) of everybody who has done, bought or joined anything."""
    rules = await _rules(connection)
    people: dict[Who, Counter[tuple[int, str, int]]] = defaultdict(Counter)
    money: dict[Who, Counter[tuple[str, int]]] = defaultdict(Counter)
    bought: dict[str, Any] = {}
    rows = await _journal(connection)
    for organization, person, community, kind, day, act_id, amount, _, ruleset in rows:
        who = (organization, person, community)
        if kind in (3, 4):
            people[who].update()
        if kind in ACTS and ruleset is not None:
            people[who][day, ACTS[kind], ruleset] += -1 if kind in TAKES_BACK else 1
        if kind == 13:
            bought[act_id] = (who, day, ruleset, amount)
            money[who][act_id, ruleset] += amount
        if kind == 15:
            money[who][act_id, ruleset] -= amount
    for purchase, (who, day, ruleset, paid) in bought.items():
        if paid:
            people[who][day, "order", ruleset] += 1 if money[who][purchase, ruleset] else 0
    result = []
    for who, acts in people.items():
        scores: Counter[int] = Counter()
        points = 0
        for (day, act, ruleset), n in acts.items():
            rule = rules[ruleset]["acts"].get(NAMES[act], {"weight": 0, "points": 0})
            counted = n if rule.get("daily_cap") is None else min(n, rule["daily_cap"])
            scores[day] += rule["weight"] * counted
            points += rule["points"] * counted
        for (_, ruleset), net_paid in money[who].items():
            divisor = rules[ruleset]["acts"].get("purchase", {}).get("minor_units_per_point")
            points += net_paid // divisor if divisor else 0
        result.append((*who, rank_key(scores, 7), points))
    return sorted(result, key=repr)


async def recomputed_commission(connection: Any) -> list[tuple[Any, ...]]:
    """(organization, person, community, commission) of everybody who is due any, by what is left of every order."""
    rules = await _rules(connection)
    orders: dict[str, dict[str, Any]] = defaultdict(lambda: {"refunded": 0, "chain": []})
    for organization, _, community, kind, _, act_id, amount, details, ruleset in await _journal(connection):
        if kind == 13:
            part = json.loads(details)["commissionable"]
            orders[act_id] |= {"where": (organization, community), "paid": amount, "part": part, "ruleset": ruleset}
        elif kind == 14:
            orders[act_id]["chain"] = json.loads(details)["chain"]
        elif kind == 15:
            orders[act_id]["refunded"] += amount
    due: Counter[tuple[Any, ...]] = Counter()
    for order in orders.values():
        organization, community = order["where"]
        paid = order["paid"]
        net = order["part"] * (paid - order["refunded"]) // paid if paid else 0
        rates = rules[order["ruleset"]]["commission_basis_points"]
        for link in order["chain"]:
            if link["level"] <= len(rates):
                due[organization, link["person"], community] += net * rates[link["level"] - 1] // 10_000
    return sorted(((*who, commission) for who, commission in due.items() if commission), key=repr)
