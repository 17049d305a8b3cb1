# SPDX-License-Identifier: Apache-2.0
"""Other people's avatars in, `.tsplat` files out: `convert("anna.zip", "anna.tsplat")`. Never needs torch."""

from .convert import FORMATS, convert, detect_format

__all__ = ["FORMATS", "convert", "detect_format"]
