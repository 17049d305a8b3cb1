# SPDX-License-Identifier: Apache-2.0
"""Networks that hear speech (Wav2Vec 2.0, HuBERT, Whisper), as folders that talksplat runs live, without torch."""

from .export import Export, export_encoder, exported

__all__ = ["Export", "export_encoder", "exported"]
