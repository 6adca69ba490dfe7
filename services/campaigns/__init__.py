"""Campaigns will own products, stores, purchases and refunds, and every campaign mechanic.

It publishes on `campaigns.events` and listens to membership and content. In this release it runs (database, relay, probes)
so that the other services' topology is complete, and offers no endpoint of its own yet.
"""
