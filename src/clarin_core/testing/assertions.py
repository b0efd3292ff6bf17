"""Makes the assertions of the laws explain themselves; imported before any of them.

pytest rewrites the assertions of test files only, unless a package asks for its own.
"""

import sys
from pathlib import Path
from pkgutil import iter_modules

import pytest

_LAWS = [f"{__package__}.{one.name}" for one in iter_modules([str(Path(__file__).parent)])]

pytest.register_assert_rewrite(*(name for name in _LAWS if name not in sys.modules))
