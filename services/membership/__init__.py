"""Membership: which communities there are, and who belongs to them. Publishes on `membership.events`.

Words of this service:

- community: a group with an affinity, rules and a life cycle: draft, launched, retired.
- affinity: what its members have in common. Without one there is no community.
- owner: who founded it; its first member, counted in capacity and launch base.
- member: a person in one community, active or left. A person who left may return.
- launch base: how many members a draft needs before it can be launched.
- capacity: how many active members there may be at once; exact also under parallel joins.
- rulebook: the rules a member accepts by joining; every community starts with the default one.
- probation: leaving within so many days of joining lets invitation rewards be taken back.
"""
