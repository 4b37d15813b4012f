"""MLflow: an experiment per study, a run per trial, token credit as JSON files; MLFLOW_TRACKING_URI says where."""

import time
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric

from bo_shaping.config.trackers import Options
from bo_shaping.tracking.credit import credit_data
from bo_shaping.tracking.lines import Line
from bo_shaping.tracking.tracker import RunHead

KEY = "bo_shaping.trial"
"""Tag by which the run of a trial is found again."""


class MLflow:
    """Runs of one experiment; options are those of `MlflowClient`, such as `tracking_uri`."""

    is_live = True
    is_readable = True

    def __init__(self, options: Options) -> None:
        # A client of its own: the module's functions all write to one run at a time.
        self._client = MlflowClient(**options)

    def open(self, head: RunHead) -> "MLflowRun":
        """Begin a run, or go on with it."""
        client = self._client
        experiment = client.get_experiment_by_name(head.study)
        experiment_id = experiment.experiment_id if experiment is not None else client.create_experiment(head.study)
        known = client.search_runs([experiment_id], filter_string=f"tags.`{KEY}` = '{head.key}'", max_results=1)
        if known:
            client.update_run(known[0].info.run_id, status="RUNNING")
            return MLflowRun(client, known[0].info.run_id)
        run = client.create_run(experiment_id, run_name=head.name, tags={KEY: head.key})
        for name, value in head.config.items():
            client.log_param(run.info.run_id, name, value)
        return MLflowRun(client, run.info.run_id)


class MLflowRun:
    """The run of one trial."""

    def __init__(self, client: Any, run_id: str) -> None:
        self._client = client
        self._id = run_id
        self._status = "KILLED"

    def last_steps(self) -> dict[str, int]:
        """The last step of each group on the server."""
        last: dict[str, int] = {}
        for name in self._client.get_run(self._id).data.metrics:
            group = name.rpartition("/")[0]
            steps = [metric.step for metric in self._client.get_metric_history(self._id, name)]
            last[group] = max(last.get(group, -1), *steps)
        return last

    def write(self, line: Line) -> None:
        """Add numbers as metrics, texts as tags, and a response as a file."""
        now = int(time.time() * 1000)
        metrics = [Metric(name, value, now, line.step) for name, value in line.values.items()]
        if line.credit is not None:
            self._client.log_dict(
                self._id,
                {"prompt": line.credit.prompt, "response": line.credit.response, **credit_data(line.credit)},
                f"{line.group}/{line.step}.json",
            )
        for name, text in line.texts.items():
            self._client.set_tag(self._id, f"{line.group}.{name}", text)
            if name == "status":
                self._status = "FAILED" if text == "failed" else "FINISHED"
        self._client.log_batch(self._id, metrics=metrics)

    def flush(self) -> None:
        """Nothing to do: every line is sent at once."""

    def close(self) -> None:
        """Mark the run as ended."""
        self._client.set_terminated(self._id, self._status)
