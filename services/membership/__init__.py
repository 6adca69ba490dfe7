"""Membership: which communities there are, who belongs to them, and who brought whom. Publishes on `membership.events`.

Words of this service:

- community: a group with an affinity, rules and a life cycle: draft, launched, retired.
- affinity: what its members have in common. Without one there is no community.
- owner: exactly one member, at first the founder, who is the first member and counts in capacity and launch base. The
  ownership is passed on (`community.py`, `roles.py`).
- member: a person in one community, active or left. A person who left may return, without the roles it had.
- role: owner, admin, member. What each may do stands in `shared/permissions.py`.
- launch base: how many members a draft needs before it can be launched.
- capacity: how many active members there may be at once; exact also under parallel joins (`places.py`).
- entry: what joining asks for: nothing (`open`) or an invitation.
- invitation: a code that a member gives to others; how often it is used is exact (`invitation.py`). It alone opens a
  draft, and a community whose entry is `invitation`.
- share code: a code of content for something that a member shared. It tells who brought a person; it opens nothing.
- inviter: the owner of the code of a join.
- touchpoint: how somebody came: layer, channel, scene, space.
- landing page: where short links and QR codes of a community lead.
- rulebook: the rules a member accepts by joining; every community starts with the default one.
- probation: leaving within so many days of joining lets invitation rewards be taken back.
- referrer: who brought a person into the organization: the inviter of the first join that has one, for good.
- binding: a person's referrer. Bindings form a forest; a person without one is a root (`referral.py`).
- sponsor: an inviter with the root above, as read before a join (`sponsors.py`).
- deferred join: one whose share code is not known yet, or that came while another one waited; its referral is pending
  until it is settled, once (`settling.py`).
"""
