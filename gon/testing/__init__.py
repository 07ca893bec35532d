"""Shipped fakes and conformance suites: a manual clock, link pairs, faulty links, check_device,
check_link.
"""
