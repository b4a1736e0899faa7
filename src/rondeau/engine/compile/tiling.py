"""`Tiling`: every number that was chosen by measuring, in one place.

A product is worked out in register tiles. A tile of 3 rows, 2 accumulators (such as two gates) and 2 vectors of units keeps
12 vector registers of sums; for each inner feature it loads 4 vectors of weights, and one element of each row's operand::

                        units 0..15          units 16..31
                     gate z    gate r      gate z    gate r        <- 4 vectors of weights, loaded once for all rows
    row 0, h[k]  ->   sum       sum         sum       sum
    row 1, h[k]  ->   sum       sum         sum       sum          <- one element a row, in all lanes of a register
    row 2, h[k]  ->   sum       sum         sum       sum
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tiling:
    """The shape of the register tiles, and from which sizes on memory and threads are treated otherwise.

    ``heights``: the rows of the tiles, the largest first. Sums, weights and operands must fit the vector registers: with 32 of
    them 6 x 4 sums, 4 weights and an operand at a time; with 16 of them 3 x 4 sums, 3 operands and a weight at a time. Fewer
    heights would leave rows over, more take longer to build.

    ``vectors``: the vectors of sums in one row, so also the most accumulators that share a tile. Four give each row enough sums
    that do not wait for one another (a sum takes four cycles, and two begin in each); a tile of a single row takes eight.

    ``unroll``: inner features in one turn of a product's loop. Four hide the cost of counting; more only make the code longer.

    ``core_cache``: bytes of weights that stay in a core's own cache from one step to the next, about what its second level
    holds. Beyond it the next block of weights is fetched while one is in use, which took 10 to 20 % off a step at 512 units.
    Below it products with the sequence stay in the loop of a run that keeps nothing: 5 to 25 % off at 32 to 128 units.

    ``shared_weights``: bytes of weights from which threads share the units of a step when there are fewer sequences than
    threads. Below it the step is over before the threads have waited for each other.

    ``rows_per_thread``: with weights of more than two caches, a thread needs so many rows to do more than wait for the weights;
    with fewer, threads share the units too, and each reads its part alone. Measured at 320, 512 and 650 units.

    ``team``: the most threads that share the units of a step, for each block of units ends with all waiting for the last.

    ``spins``: looks at a barrier before a waiting thread gives up its processor: one to ten microseconds, as long as a block
    takes. Giving up sooner costs more than it frees, and never giving up would block a machine with more threads than cores.
    """

    heights: tuple[int, ...] = (6, 4, 2, 1)
    vectors: int = 4
    unroll: int = 4
    core_cache: int = 3 << 19
    shared_weights: int = 1 << 18
    rows_per_thread: int = 24
    team: int = 8
    spins: int = 4000

    def team_size(self, weights: int, batch: int, threads: int) -> int:
        """How many threads share the units of each step: one where each has its own sequences.

        Args:
            weights: bytes of the matrices that a step reads.
            batch: the number of sequences.
            threads: how many there are.
        """
        few = batch < threads and weights > self.shared_weights
        starved = weights > 2 * self.core_cache and batch < self.rows_per_thread * threads
        return min(threads, self.team) if few or starved else 1
