"""Content: what members publish. Publishes on `content.events`, listens to `membership.events`.

Words of this service:

- post: what a member writes in a community; edited by its author, removed by its author or the community's owner.
- standing: what this service knows of a person in a community: its own replica of membership, fed from the log.
- author: the member who published a post.
- feed: the posts of a community, newest first, without the removed ones.
"""
