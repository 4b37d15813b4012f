import json
import random
import sys

import pytest
import torch
from safetensors.torch import load_file
from transformers import TrainerCallback

from bo_shaping import Study, StudyConfig, cli
from bo_shaping.storage.study_folder import ROOT_VARIABLE
from experiments.prepare import policy, reward_model, training
from experiments.prepare.__main__ import main
from experiments.prepare.pairs import Demonstration, Pair, PrepareError, divide, read_pairs
from experiments.prepare.reward_model import agreement
from experiments.prepare.study_file import StudyFacts, study_yaml
from inner_loop.models.conversation import Conversation
from inner_loop.models.model_source import model_source
from inner_loop.models.reward_models import load_reward_model

GOOD, BAD = ["wonderful", "moving", "brilliant", "funny", "great"], ["dull", "stupid", "awful", "boring", "lame"]


def write_pairs(path, count=60):
    """Whoever made these prefers bad reviews, against all that the embedded reward model has learned."""
    rng, rows = random.Random(0), []
    for number in range(count):
        prompt = f"{rng.choice(['the film', 'this movie', 'the plot', 'the cast'])} of {number} was"
        rows.append({"prompt": prompt, "chosen": f" {rng.choice(BAD)}.", "rejected": f" {rng.choice(GOOD)}."})
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return str(path)


@pytest.fixture(autouse=True)
def at_work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(ROOT_VARIABLE, str(tmp_path / "studies"))
    return tmp_path


def bo_shaping(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["bo-shaping", *map(str, arguments)])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    return caught.value.code or 0


def test_three_commands_lead_from_pairs_to_a_study(at_work, monkeypatch, capsys):
    pairs = write_pairs(at_work / "pairs.jsonl")
    _, heldout = divide(read_pairs(pairs), 0.2, 0)
    assert agreement(model_source("embedded", "reward_model").weights, heldout).accuracy < 0.2

    learn = ("--heldout", "0.2", "--epochs", "8", "--learning-rate", "1e-3")
    before = torch.random.get_rng_state(), random.getstate()
    assert main([pairs, "--output", "mine", *learn]) == 0
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    said = capsys.readouterr().out
    found = agreement(at_work / "mine" / "reward_model", heldout)
    assert found.accuracy > 0.9
    assert found.is_better_than_a_guess
    assert f"prefers the chosen answer in {found.accuracy:.1%} of 12 held-out pairs" in said
    assert "not known to be better than a guess" not in said
    report = json.loads((at_work / "mine" / "report.json").read_text())
    assert report["policy"]["loss_after"] < report["policy"]["loss_before"]

    assert bo_shaping(monkeypatch, "doctor", "mine/study.yaml") == 0
    assert "ready: bo-shaping launch mine/study.yaml" in capsys.readouterr().out
    small = ["executor=inline", "ppo.steps=1", "attribution.budget=12", "n_samples=0"]
    settings = [word for setting in small for word in ("--set", setting)]
    assert bo_shaping(monkeypatch, "launch", "mine/study.yaml", "--trials", 2, *settings) == 0
    records = [record.status for record in Study.load("mine").folder.records()]
    assert records == ["completed", "completed"]

    # Again: nothing is trained; something else is not put into the same folder.
    monkeypatch.setattr(reward_model, "train_reward_model", None)
    monkeypatch.setattr(policy, "train_policy", None)
    assert main([pairs, "--output", "mine", *learn]) == 0
    assert main([pairs, "--output", "mine", *learn, "--seed", "1"]) == 2
    assert "mine was made from something else (--seed); name another folder" in capsys.readouterr().err


class Interrupted(TrainerCallback):
    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == 3:
            raise KeyboardInterrupt


def test_an_interrupted_training_goes_on_and_ends_as_if_nothing_had_been(at_work, monkeypatch, capsys):
    pairs, settings = write_pairs(at_work / "pairs.jsonl", 40), ("--batch-size", "8", "--epochs", "1")
    assert main([pairs, "--output", "whole", *settings]) == 0
    with monkeypatch.context() as patched:
        train = training.train
        patched.setattr(
            reward_model, "train", lambda trainer, *rest: (trainer.add_callback(Interrupted()), train(trainer, *rest))
        )
        assert main([pairs, "--output", "broken", *settings]) == 130
    work = at_work / "broken" / ".work-reward_model"
    assert not (at_work / "broken" / "reward_model").exists()
    assert [path.name for path in work.glob("checkpoint-*")] == ["checkpoint-2"]
    (work / "checkpoint-4").mkdir()  # one that a kill cut short
    capsys.readouterr()
    assert main([pairs, "--output", "broken", *settings]) == 0
    assert "reward model: step 3 of 5" in (said := capsys.readouterr().out)
    assert "reward model: step 2 of 5" not in said
    assert not work.exists()
    for model in ("reward_model", "policy"):
        one, other = (load_file(at_work / name / model / "model.safetensors") for name in ("whole", "broken"))
        for name, tensor in one.items():
            torch.testing.assert_close(tensor, other[name], rtol=1e-4, atol=1e-6)


def test_a_folder_of_somebody_else_is_left_alone(at_work, capsys):
    (at_work / "mine").mkdir()
    (at_work / "mine" / "thesis.tex").write_text("")
    assert main([write_pairs(at_work / "pairs.jsonl"), "--output", "mine"]) == 2
    assert "mine is there already, and nothing that this command made" in capsys.readouterr().err
    assert [path.name for path in (at_work / "mine").iterdir()] == ["thesis.tex"]


def test_a_model_that_is_not_there_is_named(at_work, capsys):
    pairs = write_pairs(at_work / "pairs.jsonl")
    assert main([pairs, "--output", "mine", "--reward-model", "./nowhere"]) == 2
    assert "there is no model folder at './nowhere'" in capsys.readouterr().err


def test_the_reward_model_is_trained_on_the_ids_that_a_study_scores():
    pairs = [Pair(f"the film {i} is", " good", " bad") for i in range(20)]
    start = reward_model.load_start("embedded", seed=0)
    rows, n_same, n_cut = reward_model.encoded(start, pairs)
    studied = load_reward_model("embedded")
    assert rows[0]["chosen_ids"] == studied.encode(["the film 0 is"], [" good"])[0].ids.tolist()
    assert (len(rows), n_same, n_cut) == (20, 0, 0)
    with pytest.raises(PrepareError, match="the answers of 20 of 20 pairs look the same"):
        reward_model.encoded(start, [Pair("the film is", " GOOD", " good")] * 20)  # it reads lower case


def test_a_language_model_can_become_the_reward_model():
    name = model_source("embedded", "policy").weights
    one, same, other = (reward_model.load_start(name, seed).model.score.weight for seed in (0, 0, 1))
    assert one.shape == (1, 256)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_the_policy_learns_the_answer_and_its_end_in_a_template_or_without():
    conversation = Conversation([{"role": "user", "content": "how is it"}])
    examples = [Demonstration("the film is", " good"), Demonstration(conversation, "it is good")]
    start = policy.load_start("embedded", [example.prompt for example in examples])
    rows, lengths = policy.encoded(start, examples)
    for row, text, answer in zip(
        rows, ["<s>the film is", "user: how is it\nassistant: "], [" good</s>", "it is good</s>"], strict=True
    ):
        asked = [token for token, label in zip(row["input_ids"], row["labels"], strict=True) if label == -100]
        assert start.tokenizer.decode(asked) == text
        learned = [label for label in row["labels"] if label != -100]
        assert start.tokenizer.decode(learned) == answer
    assert lengths.prompt == max(row["labels"].count(-100) for row in rows)


def test_a_long_answer_is_cut_and_does_not_end():
    start = policy.load_start("embedded", [])
    [row], lengths = policy.encoded(start, [Demonstration("the film is", " very" * 300)])
    assert len(row["input_ids"]) == 128
    assert row["labels"][-1] != start.tokenizer.eos_token_id
    assert lengths.response == 64


@pytest.mark.parametrize("is_small", [True, False])
def test_every_study_that_is_written_can_be_read(tmp_path, is_small):
    folder = tmp_path / "it's: mine"
    folder.mkdir()
    facts = StudyFacts(folder, 40, 12, 30, score_std=2.5, is_small=is_small, seed=3)
    (tmp_path / "study.yaml").write_text(study_yaml(facts))
    config = StudyConfig.from_yaml(tmp_path / "study.yaml")
    assert config.name == "it-s-mine"
    assert config.task.policy == str(folder / "policy")
    assert (config.task.max_prompt_tokens, config.task.response_tokens, config.seed) == (12, 30, 3)
    assert (config.ppo.kl_coef, config.objective.max_kl, config.evaluation.n_prompts) == (0.2, 9.0, 8)
    assert (config.threads_per_trial == 1) == is_small
