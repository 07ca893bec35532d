from gon_client.xp import *  # noqa: F403 - all of it, for who reads types
