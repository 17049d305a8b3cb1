# SPDX-License-Identifier: Apache-2.0
"""Encoders of speech that were exported to a folder, run live: Wav2Vec 2.0, HuBERT, Whisper."""
