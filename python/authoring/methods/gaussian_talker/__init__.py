# SPDX-License-Identifier: Apache-2.0
"""GaussianTalker (Cho et al., ACM MM 2024): Gaussians attend to tokens of sound, eyes and camera."""
