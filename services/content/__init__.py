"""Content: what members publish. Publishes on `content.events`, listens to `membership.events`.

Words of this service:

- post: what a member writes in a community; edited by its author.
- author: the member who published a post or comment.
- staff: the owner and the admins of a community.
- withdrawn: a post that does not stand, because it was removed (by its author or staff), is hidden (by staff), or both.
- feed: the posts of a community that stand, newest first.
- history: all versions of what a post said; for its author and staff.
- comment: what a member says to a post, or in reply to a comment on it; replies are one level deep.
- floor: the number of a comment on its post: 1, 2, 3 … in commit order, without gaps, never used again.
- thread: the comments of a post by floor, the places of removed ones among them.
- reaction: one of five kinds of answer to a post or comment without words; to something of one's own it does not count.
- share: a member brings something to a channel, and gets a code for it.
- parent: the share through which a sharer came; so shares are trees.
- short link: `/s/{code}`, for everybody; leads to the landing page of the community, and nowhere else.
- visit: somebody opens a short link: one for each visitor and local day.
- crawler: a program that opens links; recorded, and does not count.
- arrival: a person's last visit that counts; says the parent of what the person shares within 30 days.
- tally: how many of a kind stand on a post, comment or share.
- standing: what this service knows of a person in a community: its own replica of membership, fed from the log.
- home: the community that a post or comment belongs to, for good.
"""
