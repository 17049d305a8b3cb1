# SPDX-License-Identifier: Apache-2.0
"""Which of a transformer's matrix products go to int8, and what comes to them: measured on speech, in torch.

Trained transformers have a few products whose inputs hold single values a hundred times larger than all others, and
which int8 would ruin: those stay in float32.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import Linear, Module
from torch.nn.functional import linear

# Of the features' deviation over time: what int8 may change. The runtime refuses more than 0.1, on its own CPU.
MAX_ERROR = 0.08
TRIED_WINDOWS = 5
LEVELS = 255


class Range(NamedTuple):
    """Of what a product is given: zero lies within."""

    low: float
    high: float


class Int8Plan(NamedTuple):
    """ranges: of the products with constant weights, in the order in which they are computed.

    whole, whole_static: those that stay in float32, where inputs are measured each time, and where they are known.
    """

    ranges: list[Range]
    whole: frozenset[int]
    whole_static: frozenset[int]


def plan_int8(transformer: Module, windows: Tensor, deviation: float) -> Int8Plan:
    """windows: [n,window,width], of speech.  deviation: of the features over time."""
    with torch.no_grad():
        ranges = _ranges(transformer, windows)
        tried = windows[len(windows) // (2 * TRIED_WINDOWS) :: -(-len(windows) // TRIED_WINDOWS)]
        wanted = torch.cat([transformer(window[None]) for window in tried])
        trial = _Trial(transformer, tried, wanted, deviation, _weights(ranges))
        return Int8Plan(list(ranges.values()), *trial.whole(ranges))


def _ranges(transformer: Module, windows: Tensor) -> dict[Linear, Range]:
    """By product, in the order in which they are computed."""
    found: dict[Linear, Range] = {}

    def look(product: Linear, inputs: tuple[Tensor, ...]) -> None:
        old = found.get(product, Range(0.0, 0.0))
        low, high = inputs[0].aminmax()
        found[product] = Range(min(old.low, float(low)), max(old.high, float(high)))

    products = [module for module in transformer.modules() if isinstance(module, Linear)]
    hooks = [product.register_forward_pre_hook(look) for product in products]
    try:
        for window in windows:
            transformer(window[None])
    finally:
        for hook in hooks:
            hook.remove()
    return found


class _Trial(NamedTuple):
    """windows, features: what products are tried on, and what the model makes of it.  weights: rounded to int8."""

    transformer: Module
    windows: Tensor
    features: Tensor
    deviation: float
    weights: Mapping[Linear, Tensor]

    def whole(self, ranges: Mapping[Linear, Range]) -> tuple[frozenset[int], frozenset[int]]:
        """Those that have to stay whole, with ranges as they come, and with these: the worst ones, few enough."""
        measured: dict[Linear, Range | None] = dict.fromkeys(ranges)
        if all(self._error(products) <= MAX_ERROR for products in (measured, ranges)):
            return frozenset(), frozenset()
        # Which are the worst is found on one window, how many of them on all.
        items = list(ranges.items())
        middle = len(self.windows) // 2
        once = self._replace(windows=self.windows[middle, None], features=self.features[middle, None])
        alone = [once._error(dict([item])) for item in items]
        worst = sorted(range(len(items)), key=lambda i: -alone[i])

        def enough(products: Mapping[Linear, Range | None]) -> frozenset[int]:
            for n in range(len(worst)):
                if self._error({items[i][0]: products[items[i][0]] for i in worst[n:]}) <= MAX_ERROR:
                    return frozenset(worst[:n])
            return frozenset(worst)

        return enough(measured), enough(ranges)

    def _error(self, chosen: Mapping[Linear, Range | None]) -> float:
        """Of the features' deviation over time."""
        with self._in_int8(chosen):
            found = torch.cat([self.transformer(window[None]) for window in self.windows])
        return float((found - self.features).square().mean().sqrt()) / self.deviation

    @contextmanager
    def _in_int8(self, chosen: Mapping[Linear, Range | None]) -> Iterator[None]:
        """Within, these products are as int8 makes them, but for the order of sums. None: the range of what comes."""

        def compute(product: Linear, inputs: tuple[Tensor, ...], _: Tensor) -> Tensor:
            return linear(_rounded(inputs[0], chosen[product]), self.weights[product], product.bias)

        hooks = [product.register_forward_hook(compute) for product in chosen]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()


def _rounded(values: Tensor, known: Range | None) -> Tensor:
    if known is None:
        low, high = values.aminmax()
        known = Range(min(0.0, float(low)), max(0.0, float(high)))
    step, zero = input_step(known)
    return ((values / step).round().add(zero).clamp(0, LEVELS) - zero) * step


def input_step(known: Range) -> tuple[float, int]:
    """The step between two numbers of an uint8 input, and the number that means zero."""
    step = max((known.high - known.low) / LEVELS, 1e-12)
    return step, round(-known.low / step)


def _weights(products: Iterable[Linear]) -> dict[Linear, Tensor]:
    """With a step for each output."""
    steps = {product: (product.weight.abs().amax(1, keepdim=True) / 127).clamp(min=1e-12) for product in products}
    return {product: (product.weight / step).round() * step for product, step in steps.items()}
