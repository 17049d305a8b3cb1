# SPDX-License-Identifier: Apache-2.0
"""A graph whose place another may take: the CPU's, when a GPU fails; a GPU's, when it has been made."""

from __future__ import annotations

from collections.abc import Callable

from .engines import Graph, GraphSpec

Failed = Callable[[Graph, Exception], None]


class Replaceable(Graph):
    """Inputs and outputs are the host's own: what a graph that failed was given is run once more by the one that takes
    its place, and nothing of the sound is lost.

    failed(graph, error): called on the thread that runs, when a run fails; sees to it that another graph is here, or
    raises. None: the error goes to who runs it.
    """

    def __init__(self, graph: Graph, spec: GraphSpec, failed: Failed | None = None) -> None:
        super().__init__(spec)
        self._now: tuple[Graph, Failed | None] = (graph, failed)
        # Of a GPU that failed nothing is given back while nobody knows what it does.
        self._kept: list[Graph] = []

    @property
    def graph(self) -> Graph:
        return self._now[0]

    def replace(self, graph: Graph, failed: Failed | None = None, keep: bool = False) -> None:
        """From the next run on; a run that goes on ends with the graph that it began with. keep: that one stays."""
        if keep:
            self._kept.append(self._now[0])
        self._now = (graph, failed)

    def run(self) -> None:
        graph, failed = self._now
        try:
            self._run(graph)
        except Exception as error:  # engines have no class of errors in common
            if failed is None:
                raise
            failed(graph, error)
            self._run(self._now[0])

    def _run(self, graph: Graph) -> None:
        for name, array in self.inputs.items():
            graph.inputs[name][...] = array
        graph.run()
        for name, array in self.outputs.items():
            array[...] = graph.outputs[name]
