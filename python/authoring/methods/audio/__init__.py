# SPDX-License-Identifier: Apache-2.0
"""The audio encoder that talking heads inherited from AD-NeRF: a window of frames' features becomes one vector."""
