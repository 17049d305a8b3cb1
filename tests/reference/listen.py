# SPDX-License-Identifier: Apache-2.0
"""listen in float64: every output sample as one sum over the input, as ops/listen.h's "Maths" reads."""

import numpy as np
from numpy.typing import ArrayLike

RATE_HZ = 16000
HALF = 16  # of the filter, in samples of the lower rate
CUT = 0.94  # of the lower Nyquist frequency
BETA = 7.857  # Kaiser's formula for 80 dB


def mono_ref(samples: ArrayLike, rate_hz: int) -> np.ndarray:
    """[n] from [n] or [n,channels], float or int16: the mean, or the loudest channel where they cancel (mixdown.h)."""
    x = np.asarray(samples)
    x = x / 32768.0 if x.dtype == np.int16 else x.astype(np.float64)
    if x.ndim == 1:
        return x
    n, channels = x.shape
    sources = np.column_stack([x, x.mean(axis=1)])  # the mean is the last one
    mean = chosen = before = channels
    block = rate_hz // 50
    power = np.zeros(channels + 1)
    out = np.empty(n)
    for start in range(0, n, block):
        part = sources[start : start + block]
        t = np.arange(1, len(part) + 1) / block
        out[start : start + block] = (1 - t) * part[:, before] + t * part[:, chosen]
        power = 0.6 * power + (part**2).sum(axis=0)
        before = chosen
        loudest = int(np.argmax(power[:channels]))
        total = power[:channels].sum()
        if channels**2 * power[mean] < (0.05 if chosen == mean else 0.2) * total:
            if chosen == mean or power[loudest] > 4 * power[chosen]:
                chosen = loudest
        elif total > 0:
            chosen = mean
    return out


def filter_ref(t: ArrayLike) -> np.ndarray:
    """The filter t samples of the lower rate away."""
    t = np.asarray(t, np.float64)
    window = kaiser(t / HALF)
    return np.where(np.abs(t) < HALF, np.sinc(CUT * t) * window, 0.0)


def kaiser(u: np.ndarray) -> np.ndarray:
    return np.i0(BETA * np.sqrt(np.maximum(0, 1 - u * u))) / np.i0(BETA)


def listen_ref(samples: ArrayLike, rate_hz: int) -> np.ndarray:
    """[ceil(16000 n / rate_hz)] 16 kHz mono."""
    x = mono_ref(samples, rate_hz)
    if rate_hz == RATE_HZ:
        return x
    lower_per_sample = min(1.0, RATE_HZ / rate_hz)
    reach = int(np.ceil(HALF / lower_per_sample))
    out = np.zeros(-(-len(x) * RATE_HZ // rate_hz))
    for n in range(len(out)):
        whole, rest = divmod(n * rate_hz, RATE_HZ)
        i = np.arange(whole - reach, whole + reach + 2)
        weight = filter_ref(lower_per_sample * (i - whole - rest / RATE_HZ))
        inside = (i >= 0) & (i < len(x))
        out[n] = weight[inside] @ x[i[inside]] / weight.sum()
    return out
