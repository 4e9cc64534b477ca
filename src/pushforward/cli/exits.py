"""The exit codes other than 0."""

UNREAD = 1  # the reader of the output has left; Rich ends so too
USER_ERROR = 2
INTERRUPTED = 130
