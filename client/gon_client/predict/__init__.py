"""What a program would take over another network: a record of one run, and a model that runs it."""
