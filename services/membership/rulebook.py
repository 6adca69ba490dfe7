"""The default rulebook: what every member of a community accepts by joining, until the community writes its own."""

from typing import NamedTuple

from services.membership.community import DEFAULT_RULEBOOK


class Rule(NamedTuple):
    """One rule: its class (one of seven) and its text."""

    about: str
    text: str


RULEBOOKS: dict[str, tuple[Rule, ...]] = {
    DEFAULT_RULEBOOK: (
        Rule("entry", "Join because you share what this community is about, and say who you are."),
        Rule("speech", "No insults, no threats, no lies, no advertising that is not marked as such."),
        Rule("hours", "Write when it suits you; nobody owes an answer at night."),
        Rule("honour", "Titles and badges are given for what somebody did here, and cannot be bought."),
        Rule("rewards", "Points follow the published rules. Acts made up to collect points are taken back."),
        Rule("penalties", "Breaking a rule brings a warning, then a pause, then removal, each with its reason."),
        Rule("content", "Posts serve the affinity of the community. What belongs elsewhere is posted elsewhere."),
    ),
}
