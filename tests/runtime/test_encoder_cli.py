# SPDX-License-Identifier: Apache-2.0
"""The command line with an encoder."""

from __future__ import annotations

import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
