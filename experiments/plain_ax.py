"""What somebody tuned with Ax alone: `python -m experiments.plain_ax` makes `notebooks/stored/by_hand.json`.

The notebook `continue_an_ax_experiment` goes on from that file. Six trainings of the quickstart's length, of which the
first three are chosen by hand and the others proposed by Ax: about ten minutes on a laptop's CPU.
"""

from pathlib import Path

from ax.api.client import Client
from ax.api.configs import RangeParameterConfig

from inner_loop import TrialSpec, result_of, run_trial

FILE = Path(__file__).resolve().parents[1] / "notebooks" / "stored" / "by_hand.json"

TRAINING = {
    "ppo": {
        "steps": 20,
        "rollout_size": 32,
        "minibatch_size": 32,
        "epochs": 2,
        "learning_rate": 6e-4,
        "stop_at_kl": 6.0,
    },
    "attribution": {"units": "spans", "max_units": 8, "budget": 48},
    "evaluation": {"n_prompts": 128, "every": 4},
}
BY_HAND = [(0.0, 0.95), (1.0, 0.7), (0.5, 0.8)]
"""Weight of SHAP, and lambda."""
N_PROPOSED = 3


def main() -> None:
    """The loop that everybody writes: ask Ax, train, tell Ax."""
    client = Client()
    client.configure_experiment(
        name="by hand",
        parameters=[
            RangeParameterConfig(name="weight_of_shap", parameter_type="float", bounds=(0, 1)),
            RangeParameterConfig(name="lam", parameter_type="float", bounds=(0.5, 1)),
        ],
    )
    client.configure_optimization("score")
    for weight, lam in BY_HAND:
        tell(client, client.attach_trial({"weight_of_shap": weight, "lam": lam}), weight, lam)
    for _ in range(N_PROPOSED):
        for index, arm in client.get_next_trials(max_trials=1).items():
            tell(client, index, float(arm["weight_of_shap"]), float(arm["lam"]))
    client.save_to_json_file(str(FILE))


def tell(client: Client, index: int, weight: float, lam: float) -> None:
    """Train with a weight and a lambda, and tell Ax the final reward."""
    spec = TrialSpec.model_validate(
        {
            **TRAINING,
            "ppo": {**TRAINING["ppo"], "gae_lambda": lam},
            "weights": {"shap": weight, "sparse": 1 - weight},
            "n_samples": 0,
        }
    )
    mean = result_of(run_trial(spec)).mean
    client.complete_trial(index, raw_data={"score": mean})
    print(f"trial {index}: shap {weight:.2f}, lambda {lam:.2f}, score {mean:.3f}", flush=True)


if __name__ == "__main__":
    main()
