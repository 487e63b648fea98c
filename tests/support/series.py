"""Series with known truth: stationary AR(1) noise of unit variance, Student t4 or normal."""

import numpy as np
from numpy.typing import NDArray

WARM_UP = 200


def ar1_noise(
    rng: np.random.Generator, series: int, length: int, phi: float, *, heavy: bool = True
) -> NDArray[np.float64]:
    """Shape (series, length)."""
    shape = (series, length + WARM_UP)
    steps = rng.standard_t(4, shape) / np.sqrt(2) if heavy else rng.normal(size=shape)
    steps *= np.sqrt(1 - phi**2)
    path, value = np.empty(shape), np.zeros(series)
    for i in range(length + WARM_UP):
        value = phi * value + steps[:, i]
        path[:, i] = value
    return path[:, WARM_UP:]


def stepped(noise: NDArray[np.float64], size: float, at: int) -> NDArray[np.float64]:
    """The same with a lasting shift from position `at` on."""
    return noise + np.where(np.arange(noise.shape[-1]) >= at, size, 0.0)
