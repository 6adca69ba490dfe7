"""Campaigns: what was bought, paid back, and through whom it came. Publishes on `campaigns.events`, listens to
`membership.events` and `content.events`.

Words of this service:

- order: what a shop backend says was bought; the shop's `order_id` names it within the organization.
- purchase: an order, once recorded. Its buyer need not be a member.
- refund: money paid back for a purchase, in one part or several; the shop's `refund_id` names it within the purchase.
- binding: who referred a person in the organization, and since when: of the replica of membership.
- pending join: a join of which membership does not know yet whether it binds the person.
- share: who shared something under a code, and when: of the replica of content.
- chain: who is to be credited for a purchase, up to two levels; empty where nobody is.
- attribution: the fixing of the chain, once and for good.
- margin: facts recorded up to two seconds after a purchase count for its chain, later ones never do.
"""
