"""The commands of `gon`, one a module.

Rules: a command parses, calls the client, prints; errors of GoN become one line and an exit status,
never a trace; tables go to the standard output, progress and messages to the standard error.
"""
