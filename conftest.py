"""Settings of all tests: hypothesis judges by what happens, not by how busy the machine was meanwhile."""

from hypothesis import settings

settings.register_profile("tradecore", deadline=None, print_blob=True)
settings.load_profile("tradecore")
