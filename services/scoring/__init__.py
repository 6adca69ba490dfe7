"""Scoring keeps the numbers: what each act was worth, how active people are, who leads a community, and why.

It owns the journal (every fact it folded, in one order per person for good), the entries that every number is the sum
of, the counts of acts per day, the standing of each person in each community, the orders and the commission that follows
from them, the leaderboards made of standings, and the rulesets that price all of it. It listens to membership, content and
campaigns, and to itself.

Glossary
    act           something a person did that the ruleset prices: a post, a first join, a purchase.
    ruleset       what acts are worth and what commission is paid, in versions; named by a number in this service's tables.
    in force      the latest version valid at an instant: the community's own, else the organization's, else the shipped one.
    taken back    an act that no longer stands (a removed post); counted on the local day of the original act.
    cap           how many acts of a kind count per person, community and local day.
    effect        what one fact changed: points and weight, each as wanted by the rule and as given under the cap.
    entry         an effect as stored, under the version of the ruleset in force when the act occurred.
    day score     the sum of weights given on one local day.
    rank key      the day scores of a person, decayed, as one integer that never changes by waiting (`rankkey`).
    standing      a person in a community: rank key, points, and whether an active member.
    order         a purchase as it stands after its refunds, with the chain of those who brought the buyer.
    due           what an order owes a level of its chain; whole minor units.
    booking       an entry of commission: the difference that an attribution or a refund makes to what is due.
    pending       commission until the purchase is as old as the holding days say; then it is payable.
    worth         what a fact about a purchase changes for the buyer: whether it stands, and points for money.
    board         the active members of a community with a score, by one metric; `activity`, `points`, `commission`.
    bucket        a range of keys of one board with the number of members in it, so that a rank is a short sum.
    number        a small integer that stands for a person or a community inside this service's tables only.

Edits, visits, roles, invitations and referral bindings are neither folded nor journaled: they are worth nothing. A
reaction to something of one's own is journaled, and has no effect.
"""
