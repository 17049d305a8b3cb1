# SPDX-License-Identifier: Apache-2.0
"""Avatars whose Gaussians a network moves: what can be trained, and what an avatar file keeps of it.

Each method is a folder: `config` has its sizes and defaults, `module` the network in torch (nothing else needs torch),
`bake` makes a deform program of its weights, `importer` reads what a training left. `audio` is what all of them share.
"""
