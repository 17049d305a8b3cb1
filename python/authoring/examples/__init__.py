# SPDX-License-Identifier: Apache-2.0
"""Avatars of the learned methods that anybody can make: networks that were fitted to the built-in head's own motion."""
