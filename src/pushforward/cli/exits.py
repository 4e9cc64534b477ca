"""The exit codes other than 0."""

USER_ERROR = 2
INTERRUPTED = 130
