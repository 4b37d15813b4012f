"""What any causal language model says of the response tokens, by the code of the actor-critic, in one pass."""

from inner_loop.ppo.actor_critic import _outputs
from inner_loop.ppo.trunk import Trunk


def token_outputs(model, batch, temperature):
    trunk = Trunk(model.base_model)
    return _outputs(model, trunk, trunk.prepare(batch), temperature)
