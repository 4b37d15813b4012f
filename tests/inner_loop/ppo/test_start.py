import torch

from inner_loop.ppo.start import StartWeights


def test_values_come_back_bit_for_bit_from_a_copy_or_from_the_file():
    generator = torch.Generator().manual_seed(0)
    inexact, exact = torch.randn(3, 4, generator=generator), torch.tensor([0.5, -0.0])
    tensors = {"inexact": inexact, "exact": exact, "alone": torch.tensor([[float("inf")], [1e-42]])}
    expected = {name: tensor.clone() for name, tensor in tensors.items()}
    start = StartWeights(tensors, {"inexact": inexact.bfloat16(), "exact": exact.bfloat16()})
    for _ in range(2):
        for tensor in tensors.values():
            tensor.fill_(7.0)
        start.restore(tensors)
        for name, tensor in tensors.items():
            assert torch.equal(tensor.view(torch.int32), expected[name].view(torch.int32))
