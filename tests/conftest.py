import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))


@pytest.fixture(scope="session")
def soma():
    """One filled installation that the tests of a run share; each uses names of its own."""
    from support.platform import Platform
    platform = Platform()
    try:
        platform.start()
        platform.bootstrap()
        platform.fill()
        yield platform
    finally:
        platform.stop()


@pytest.fixture
def own_soma():
    """An installation of its own, for tests that kill, restart or configure it."""
    from support.platform import Platform
    platforms = []

    def make(**config):
        platform = Platform(**config)
        platforms.append(platform)
        platform.start()
        platform.bootstrap()
        platform.fill()
        return platform

    yield make
    for platform in platforms:
        platform.stop()
