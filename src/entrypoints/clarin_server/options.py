"""What options of a command mean: settings, over those of the environment."""

import os

from clarin_server.log import set_up_logging
from clarin_server.settings import Settings, read_settings


def settings_of(given: dict[str, str]) -> Settings:
    """Return the environment's settings but for those given as options."""
    options = {name: value for name, value in given.items() if value}
    settings = read_settings({**os.environ, **options})
    set_up_logging(settings)
    return settings
