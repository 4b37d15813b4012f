from dataclasses import replace

from transformers import AutoTokenizer

from experiments.benchmarks.ppo.jobs import EMBEDDED, Job, as_prompts, pieces, speed_job


def test_a_job_is_read_as_it_was_written(tmp_path):
    job = replace(speed_job(EMBEDDED), seeds=[3, 4])  # JSON knows no tuples
    assert Job.read(job.write(tmp_path / "job.json")) == job


def test_prompts_of_the_speed_job_have_eight_tokens_each():
    job = speed_job(EMBEDDED)
    assert {len(prompt.ids) for prompt in as_prompts(job)} == {8}
    assert len(job.prompts) == len(job.texts) == 8 * job.batch
    tokenizer = AutoTokenizer.from_pretrained(job.policy)
    assert tokenizer.bos_token_id not in job.prompts[0]


def test_pieces_follow_one_another_through_the_texts():
    tokenizer = AutoTokenizer.from_pretrained(speed_job(EMBEDDED).policy)
    whole = tokenizer(" the film is fine", add_special_tokens=False)["input_ids"]
    whole += tokenizer(" a day at sea", add_special_tokens=False)["input_ids"]
    assert sum(pieces(tokenizer, ["the film is fine", "a day at sea", "unused"], 3, 2), []) == whole[:6]  # noqa: RUF017
