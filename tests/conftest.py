"""Settings of all tests."""

from hypothesis import settings

# The same examples every time: a red test stays red until it is mended.
settings.register_profile("meanfield", deadline=None, derandomize=True)
settings.load_profile("meanfield")
