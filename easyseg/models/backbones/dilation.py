"""How strides become dilation: the one rule behind every output stride."""

from __future__ import annotations

from collections.abc import Iterable


def dilation_schedule(
    strides: Iterable[int], output_stride: int, *, reached: int = 1
) -> list[tuple[int, int]]:
    """Turns the nominal strides of consecutive blocks into `(stride, dilation rate)` pairs.

    A stride is kept while the product of strides stays within the output stride. A block whose
    stride would exceed it runs with stride 1 at the current rate, and its nominal stride
    multiplies the rate of the blocks after it, so that the weights get the neighbors they were
    trained on.

    Args:
        strides: Nominal stride of each block, in order.
        output_stride: Input size over feature size at which striding stops.
        reached: Product of the strides before the first block.

    References:
        Chen et al., "DeepLab", 2016, section 3.1, https://arxiv.org/abs/1606.00915.
    """
    schedule, rate = [], 1
    for stride in strides:
        if reached * stride > output_stride:
            schedule.append((1, rate))
            rate *= stride
        else:
            reached *= stride
            schedule.append((stride, rate))
    return schedule
