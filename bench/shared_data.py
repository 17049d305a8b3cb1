# SPDX-License-Identifier: Apache-2.0
"""Prototypes and recorded avatars: not part of the repository, measured where they are."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def shared_dir() -> Path | None:
    """TALKSPLAT_SHARED, else `shared` beside the repository; None without it."""
    path = Path(os.environ.get("TALKSPLAT_SHARED") or ROOT.parent / "shared")
    return path if path.is_dir() else None


def avatar_zips() -> list[Path]:
    """LAM avatars as their authors publish them."""
    shared = shared_dir()
    return sorted((shared / "data" / "avatars").glob("lam_*.zip")) if shared else []
