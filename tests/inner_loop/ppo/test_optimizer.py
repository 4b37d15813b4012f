import pytest
import torch
from torch import distributed, multiprocessing, nn

from inner_loop.ppo.optimizer import ADAM_EPS, MasterAdamW
from inner_loop.ppo.precision import TrainedWeight


def make_weights(dtype, seed=0):
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for name, shape in (("matrix", (4, 3)), ("bias", (3,))):
        master = nn.Parameter(torch.randn(shape, generator=generator))
        working = master if dtype == torch.float32 else nn.Parameter(master.detach().to(dtype))
        weights[name] = TrainedWeight(master, working)
    return weights


def backward(weights, seed=1, scale=1.0):
    """A linear loss, whose gradients are random numbers."""
    generator = torch.Generator().manual_seed(seed)
    for weight in weights.values():
        coefficients = torch.randn(weight.working.shape, generator=generator) * scale
        (weight.working * coefficients.to(weight.working.dtype)).sum().backward()


@pytest.mark.parametrize("max_norm", [0.5, 100.0])
def test_steps_are_those_of_pytorchs_adamw_with_clipping(max_norm):
    own, other = make_weights(torch.float32), make_weights(torch.float32)
    parameters = [nn.Parameter(weight.master.detach().clone()) for weight in other.values()]
    theirs = torch.optim.AdamW(parameters, lr=0.1, eps=ADAM_EPS, weight_decay=0.0)
    ours = MasterAdamW(own, 0.1)
    for seed in range(3):
        ours.zero_grad()
        backward(own, seed)
        for parameter, weight in zip(parameters, own.values(), strict=True):
            parameter.grad = weight.grad.clone()
        norm = nn.utils.clip_grad_norm_(parameters, max_norm)
        theirs.step()
        torch.testing.assert_close(ours.clip(max_norm), norm)
        ours.step()
    for parameter, weight in zip(parameters, own.values(), strict=True):
        torch.testing.assert_close(weight.master, parameter, atol=1e-6, rtol=1e-5)


def test_steps_too_small_for_bfloat16_add_up_in_the_masters():
    weights = make_weights(torch.bfloat16)
    start = weights["matrix"].master.detach().clone()
    optimizer = MasterAdamW(weights, 1e-5)
    for _ in range(200):
        backward(weights)
        optimizer.step()
    # Adam moves by the learning rate when gradients do not change; bfloat16 has steps of 4e-3 at 1.
    torch.testing.assert_close((weights["matrix"].master - start).abs(), torch.full((4, 3), 2e-3), atol=1e-4, rtol=0)
    assert torch.equal(weights["matrix"].working, weights["matrix"].master.bfloat16())


def test_gradients_of_several_passes_add_up_in_float32():
    # 256 + 1 is 256 in bfloat16.
    weights = make_weights(torch.bfloat16)
    working = weights["bias"].working
    (256.0 * working).sum().backward()
    working.sum().backward()
    assert weights["bias"].grad.tolist() == [257.0] * 3
    MasterAdamW(weights, 0.1).zero_grad()
    assert weights["bias"].grad is None


def test_state_continues_where_it_was():
    first = make_weights(torch.float32)
    optimizer = MasterAdamW(first, 0.1)
    backward(first)
    optimizer.step()
    second = make_weights(torch.float32)
    for name, weight in second.items():
        weight.master.data.copy_(first[name].master)
    other = MasterAdamW(second, 0.1)
    for name, tensor in other.state().items():
        tensor.copy_(optimizer.state()[name])
    for weights, stepped in ((first, optimizer), (second, other)):
        backward(weights, seed=2)
        stepped.step()
    assert torch.equal(first["matrix"].master, second["matrix"].master)


def one_process(rank, address, queue):
    distributed.init_process_group("gloo", init_method=address, rank=rank, world_size=2)
    weights = make_weights(torch.bfloat16)
    optimizer = MasterAdamW(weights, 0.1)
    backward(weights, seed=rank)
    if rank == 1:
        weights["matrix"].grad = None  # as if it had none of a minibatch's responses
    norm = optimizer.clip(1e6)
    queue.put((rank, norm.item(), weights["bias"].grad.tolist(), weights["matrix"].grad.tolist()))
    optimizer.step()
    distributed.destroy_process_group()


def test_two_processes_step_with_the_sum_of_their_gradients(tmp_path):
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    address = f"file://{tmp_path}/rendezvous"
    processes = [context.Process(target=one_process, args=(rank, address, queue)) for rank in range(2)]
    for process in processes:
        process.start()
    results = sorted(queue.get(timeout=120) for _ in processes)
    for process in processes:
        process.join()
    grads = []
    for rank in range(2):
        weights = make_weights(torch.bfloat16)
        backward(weights, seed=rank)
        grads.append({name: weight.grad.float() for name, weight in weights.items()})
    assert results[0][1:] == results[1][1:]
    torch.testing.assert_close(torch.tensor(results[0][2]), grads[0]["bias"] + grads[1]["bias"])
    torch.testing.assert_close(torch.tensor(results[0][3]), grads[0]["matrix"])
