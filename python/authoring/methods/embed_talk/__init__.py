# SPDX-License-Identifier: Apache-2.0
"""EmbedTalk: every Gaussian has an embedding, and a small network moves it by that and what is heard."""
