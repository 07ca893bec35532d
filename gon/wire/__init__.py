"""The data plane's language: ops, batches, frames and the session that keeps them in order.

Sans I/O.
"""
