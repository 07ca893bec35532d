"""What `examples/one_unit_eight_roles.py` is made of: programs, references, a picture."""
