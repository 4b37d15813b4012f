"""From the name of a tracker to the tracker; its library is imported only then."""

from pathlib import Path

from bo_shaping.config.trackers import Options
from bo_shaping.tracking.tracker import Tracker


def make_tracker(name: str, folder: Path, options: Options) -> Tracker:
    """The tracker of that name.

    Args:
        name: One of `bo_shaping.config.trackers.PACKAGES`.
        folder: Where trackers that write files may do so.
        options: For its library.
    """
    if name == "tensorboard":
        from bo_shaping.tracking.tensorboard import TensorBoard

        return TensorBoard(folder / name, options)
    if name == "trackio":
        from bo_shaping.tracking.trackio import Trackio

        return Trackio(options)
    if name == "wandb":
        from bo_shaping.tracking.wandb import WeightsAndBiases

        return WeightsAndBiases(folder, options)
    if name == "mlflow":
        from bo_shaping.tracking.mlflow import MLflow

        return MLflow(options)
    from bo_shaping.tracking.others import OtherTracker

    return OtherTracker(name, folder / name, options)
