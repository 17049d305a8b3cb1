# SPDX-License-Identifier: Apache-2.0
"""Training of the built-in voice: what it hears is speech whose phonemes are known, which tell what it should say.

    python -m talksplat.authoring.voice.train --out voice.safetensors --seed 1

Needs the `authoring` extra (torch, espeakng-loader); the weights' file, `export`, needs numpy and safetensors alone.
"""
