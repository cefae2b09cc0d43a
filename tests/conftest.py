"""Every test runs on one thread: that is how runs train, and two test processes do not fight over the cores."""

import pytest


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)
