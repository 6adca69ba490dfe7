"""What the API shows: the same shape in a command's answer and in a read. One module per aggregate."""

from services.content.resources.comments import Comment
from services.content.resources.posts import Post, PostVersion
from services.content.resources.reactions import Reaction
from services.content.resources.shares import Share, short_link

__all__ = ["Comment", "Post", "PostVersion", "Reaction", "Share", "short_link"]
