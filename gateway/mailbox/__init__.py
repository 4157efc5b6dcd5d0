"""What the doors call: the mailboxes of a user, views of them, and what can be done to messages."""
