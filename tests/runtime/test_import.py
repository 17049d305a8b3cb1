# SPDX-License-Identifier: Apache-2.0
"""What `import talksplat` costs and promises."""

import subprocess
import sys
from importlib import metadata

import talksplat

LOADED_BY_IMPORT = """
import sys
before = set(sys.modules)
import talksplat
print(*sorted({name.partition(".")[0] for name in set(sys.modules) - before}))
"""


def test_import_loads_numpy_and_the_core_only() -> None:
    ran = subprocess.run([sys.executable, "-c", LOADED_BY_IMPORT], capture_output=True, text=True, check=True)
    loaded = set(ran.stdout.split()) - set(sys.stdlib_module_names)
    # An editable install's import hook has a name that starts with an underscore.
    assert {name for name in loaded if not name.startswith("_")} == {"numpy", "talksplat"}


def test_everything_exported_exists() -> None:
    assert not [name for name in talksplat.__all__ if not hasattr(talksplat, name)]


def test_version_is_the_distributions() -> None:
    assert talksplat.__version__ == metadata.version("talksplat")


def test_errors_have_one_base() -> None:
    found = ("AvatarNotFound", "AvatarInvalid", "AudioInvalid", "MotionInvalid", "VoiceInvalid")
    kinds = (*found, "DeviceError", "LatencyRefused")
    assert all(issubclass(getattr(talksplat, kind), talksplat.TalksplatError) for kind in kinds)
    assert issubclass(talksplat.AvatarNotFound, FileNotFoundError)
    assert issubclass(talksplat.MotionInvalid, ValueError)
