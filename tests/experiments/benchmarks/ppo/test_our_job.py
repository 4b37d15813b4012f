from dataclasses import replace

from experiments.benchmarks.ppo.jobs import EMBEDDED, speed_job
from experiments.benchmarks.ppo.our_job import Training


def test_every_response_of_the_speed_job_has_all_its_tokens():
    job = replace(speed_job(EMBEDDED).shortened(), response_tokens=24)
    training = Training(job)
    assert training.step() == job.batch * 24
    assert training.config.epochs == job.epochs
    assert training.config.kl_coef == job.kl_coef > 0
