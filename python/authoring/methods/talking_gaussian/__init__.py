# SPDX-License-Identifier: Apache-2.0
"""TalkingGaussian (Li et al., ECCV 2024): a face and the inside of its mouth, each moved by a network of its own."""
