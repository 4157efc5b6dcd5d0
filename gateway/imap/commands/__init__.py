"""The handlers: `async def handler(session, command) -> Completion`, one module per group of commands.

A handler writes its untagged responses and returns the tagged one. It raises MailError for what the mailbox layer could
not do and ClientError for what makes no sense; `gateway.imap.conversation` answers those, and tells what is new.
"""
