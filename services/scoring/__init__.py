"""Scoring keeps the numbers: what each act was worth, how active people are, who leads a community, and why.

It owns the journal (every fact it folded, in one order per person for good), the entries that every number is the sum
of, the counts of acts per day, the standing of each person in each community, and the leaderboards made of standings.
It listens to membership, content and campaigns, and to itself.

Glossary
    act           something a person did that the ruleset prices: a post, a first join.
    taken back    an act that no longer stands (a removed post); counted on the local day of the original act.
    cap           how many acts of a kind count per person, community and local day.
    effect        what one fact changed: points and weight, each as wanted by the rule and as given under the cap.
    entry         an effect as stored, under the version of the ruleset in force when the act occurred.
    day score     the sum of weights given on one local day.
    rank key      the day scores of a person, decayed, as one integer that never changes by waiting (`rankkey`).
    standing      a person in a community: rank key, points, and whether an active member.
    board         the active members of a community with a score, by one metric; `activity` or `points`.
    bucket        a range of keys of one board with the number of members in it, so that a rank is a short sum.
    number        a small integer that stands for a person or a community inside this service's tables only.

`content.post-edited.v1` is neither folded nor journaled: an edit is worth nothing.
"""
