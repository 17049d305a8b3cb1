# SPDX-License-Identifier: Apache-2.0
"""Hashes of files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import BinaryIO


def hash_of(files: Iterable[BinaryIO]) -> str:
    """SHA-256 of open binary files, one after the other, as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for file in files:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
