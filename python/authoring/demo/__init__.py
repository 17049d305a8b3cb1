# SPDX-License-Identifier: Apache-2.0
"""The built-in avatar: a head made from formulas. Millimetres here; the file is in metres.

y is up, the face looks along +z, its left is +x. `python -m talksplat.authoring.demo OUT.tsplat` builds it.
"""
