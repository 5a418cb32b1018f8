"""What the language-model experiments share: tasks, vocabulary, models, logs, sampling, scoring."""

from __future__ import annotations

import dataclasses
import random
import string

import numpy as np
import pytest
import torch

from experiments.lm import logs, models, sampling, scoring, tasks, vocabulary
from isr_theory.diagnose.__main__ import main as diagnose

WORDS = vocabulary.characters()


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def model():
    return models.small(32, 2, 2, WORDS.size, seed=5)


@pytest.fixture(scope="module")
def log(model):
    return sampling.sample(model, WORDS, some(), 4, None, seed=11, batch=24)


def some(n=3):
    return [item for name in tasks.TASKS for item in tasks.examples(name, n, seed=3)]


@pytest.mark.parametrize("name", tasks.TASKS)
def test_a_right_answer_gets_both_rewards_and_fits(name):
    task = tasks.TASKS[name]
    for item in tasks.examples(name, 40, seed=1, distinct=True):
        assert tasks.reward(item, item.answer) == (1.0, 1.0)
        assert len(item.answer) + 1 <= task.most_tokens
        assert tasks.reward(item, "") == (0.0, 0.0)
        assert WORDS.decode(WORDS.encode(item.prompt)) == item.prompt


def test_the_graded_reward_is_the_share_of_characters_in_place():
    (item,) = tasks.examples("spell_backward", 1, seed=2)
    answer = item.answer
    assert tasks.reward(item, "-" + answer[1:]) == (pytest.approx(1 - 1 / len(answer)), 0.0)
    assert tasks.reward(item, answer + "--") == (len(answer) / (len(answer) + 2), 0.0)


@pytest.mark.parametrize("name", tasks.TASKS)
def test_prepared_prompts_give_the_gyms_rewards_without_it(name, tmp_path):
    items = tasks.examples(name, 30, seed=4)
    tasks.prepare(tmp_path / "p.parquet", items)
    prepared = tasks.read(tmp_path / "p.parquet")
    assert prepared == items
    assert all(item.entry is None for item in prepared)
    rng = random.Random(0)
    right = 0
    for with_gym, without in zip(items, prepared, strict=True):
        for _ in range(30):
            text = mangled(with_gym.answer, rng)
            assert tasks.reward(with_gym, text) == tasks.reward(without, text)
            right += tasks.reward(without, text)[1] == 1
    # Both verdicts came up.
    assert 0 < right < 900


def mangled(answer, rng):
    kind = rng.randrange(5)
    if kind == 0:
        return answer
    if kind == 1:
        return rng.choice(["", " ", "+", "0", "-0"]) + answer + rng.choice(["", ".0", ",", " "])
    if kind == 2:
        return "".join(rng.choice(string.printable) for _ in range(rng.randrange(6)))
    letters = list(answer)
    letters[rng.randrange(len(letters))] = rng.choice("0123456789abcdefg ")
    return "".join(letters)


def test_seeds_share_no_examples_and_some_can_be_left_out():
    first, second = (tasks.examples("spell_backward", 50, seed=s) for s in (1, 2))
    assert not {x.prompt for x in first[1:]} & {x.prompt for x in second[:-1]}
    again = tasks.examples("spell_backward", 50, seed=1, without={x.prompt for x in first})
    assert not {x.prompt for x in first} & {x.prompt for x in again}
    with pytest.raises(ValueError, match="n is 30000: chain_sum has only"):
        tasks.examples("chain_sum", 30_000, seed=1, distinct=True)
    with pytest.raises(ValueError, match="task must be one of chain_sum"):
        tasks.examples("chess", 1, seed=1)


def test_a_character_outside_the_vocabulary_is_refused():
    with pytest.raises(ValueError, match="outside the vocabulary"):
        WORDS.encode("Über")


def test_rows_end_where_they_should(log):
    last = log.response[np.arange(len(log)), log.lengths - 1]
    allowed = np.array([tasks.TASKS[log.names[i]].most_tokens for i in log.task])
    assert ((last == WORDS.eos) | (log.lengths == allowed)).all()
    assert (log.lengths <= allowed).all()
    # No end before the end, some of both kinds.
    inside = np.where(np.arange(log.mask.shape[1]) < log.lengths[:, None] - 1, log.response, 0)
    assert (inside != WORDS.eos).all()
    assert 0 < (last == WORDS.eos).sum() < len(log)
    assert (log.log_mu[~log.mask] == 0).all()


def test_scoring_gives_what_sampling_did(model, log):
    # Two passes over the same float32 numbers in another order. A logit is a sum through some
    # 2 x 7 matrix products of at most 85 terms, each with relative rounding 2^-24 sqrt(85) at
    # random signs, on activations below 10: 14 x 9 x 10 x 6e-8 = 8e-5 with room for their growth.
    again = scoring.score(model, log, batch=7, vocabulary=WORDS)
    np.testing.assert_allclose(again, log.log_mu, rtol=0, atol=8e-5)
    # And the law is that of the model: a token's probabilities sum to 1 over the vocabulary.
    assert (log.log_mu[log.mask] < 0).all()


def test_what_was_drawn_follows_the_law_it_is_said_to(model):
    """The first token of many responses to one prompt, against the probabilities, by chi square."""
    (item,) = tasks.examples("chain_sum", 1, seed=8)
    found = sampling.sample(model, WORDS, [item], 4000, 1, seed=2, batch=4000)
    first, log_mu = found.response[:, 0], found.log_mu[:, 0]
    counts = np.bincount(first, minlength=WORDS.size)
    probabilities = np.zeros(WORDS.size)
    probabilities[first] = np.exp(log_mu)
    assert probabilities.sum() == pytest.approx(1, abs=1e-5)
    expected = 4000 * probabilities
    # 4000 draws over about 49 even tokens: chi square has mean 48 and deviation sqrt(96); a
    # seed is fixed, so this cannot flake; 48 + 5 sqrt(96) would be passed by chance under 1e-5.
    assert ((counts - expected) ** 2 / expected).sum() < 48 + 5 * 96**0.5


def test_the_weights_of_what_was_drawn_have_the_mean_one():
    """E_mu[w] = 1 at the end and at every prefix, with ends, cuts and padding on the way."""
    mu, pi = (models.small(16, 1, 2, WORDS.size, seed=5) for _ in range(2))
    rng = torch.Generator().manual_seed(6)
    with torch.no_grad():
        for ours, theirs in zip(mu.parameters(), pi.parameters(), strict=True):
            if ours.ndim > 1:
                ours.mul_(3.0)
            theirs.copy_(ours + 0.08 * torch.randn(ours.shape, generator=rng))
    items = [item for i in range(2, 5) for item in tasks.examples("chain_sum", 1, seed=i)]
    encoded = [WORDS.encode(item.prompt) for item in items]
    found = sampling.sample(mu, WORDS, items, 3000, 6, seed=3, batch=9000, encoded=encoded)
    assert 0.01 < (found.lengths < 6).mean() < 0.5
    tokens = np.where(found.mask, scoring.score(pi, found, batch=3000) - found.log_mu, 0.0)
    assert tokens.sum(1).var() > 0.3
    weights = np.exp(tokens.cumsum(1))
    # Four standard errors, estimated; the seed is fixed, so that this cannot flake.
    assert (abs(weights.mean(0) - 1) < 4 * weights.std(0) / len(weights) ** 0.5).all()
    # Were a token counted twice, it would show.
    wrong = np.exp(tokens.sum(1) + tokens[:, 0])
    assert wrong.mean() - 1 > 4 * wrong.std() / len(wrong) ** 0.5


def test_log_probabilities_do_not_depend_on_padding(model, log):
    alone = np.zeros_like(log.log_mu)
    for i in range(len(log)):
        alone[i] = scoring.score(model, log.take([i]))
    np.testing.assert_allclose(alone, scoring.score(model, log), rtol=0, atol=8e-5)


def test_scoring_is_differentiable_where_there_are_tokens(model, log):
    parts = [torch.from_numpy(x) for x in (log.prompt_ids, log.prompt_mask, log.response, log.mask)]
    found = scoring.token_log_probs(model, *parts)
    found.sum().backward()
    slopes = [weights.grad for weights in model.parameters()]
    model.zero_grad()
    assert all(torch.isfinite(slope).all() for slope in slopes)
    assert any(slope.abs().max() > 0 for slope in slopes)
    assert (found.detach().numpy()[~log.mask] == 0).all()


def test_a_seed_gives_the_same_log_again_and_another_does_not(model, log):
    again = sampling.sample(model, WORDS, some(), 4, None, seed=11, batch=24)
    other = sampling.sample(model, WORDS, some(), 4, None, seed=12, batch=24)
    assert all(
        np.array_equal(getattr(again, name), getattr(log, name))
        for name in ("response", "log_mu", "reward", "exact", "prompt_ids")
    )
    assert not np.array_equal(other.response[:, :4], log.response[:, :4])


def test_a_log_comes_back_from_its_file(log, tmp_path):
    logs.write(tmp_path / "log.parquet", log)
    back = logs.read(tmp_path / "log.parquet")
    for one in dataclasses.fields(logs.Log):
        assert np.array_equal(getattr(back, one.name), getattr(log, one.name)), one.name
    assert [path.name for path in tmp_path.iterdir()] == ["log.parquet"]


def test_diagnose_reads_a_log_with_its_scores(model, log, tmp_path, capsys):
    other = models.small(32, 2, 2, WORDS.size, seed=6)
    path = tmp_path / "log.parquet"
    logs.write(path, log, log_pi=scoring.score(other, log))
    assert diagnose([str(path), "--group", "prompt", "--by", "task"]) == 0
    said = capsys.readouterr().out
    assert "36" in said
    assert all(name in said for name in log.names)


def test_a_log_that_lacks_a_column_is_named(log, tmp_path):
    path = tmp_path / "log.parquet"
    logs.write_table(path, {"task": ["chain_sum"], "prompt": [0]}, {})
    with pytest.raises(logs.Unreadable, match=r"log\.parquet has no column 'prompt_ids'"):
        logs.read(path)
    path.write_bytes(b"PAR1 torn")
    with pytest.raises(logs.Unreadable, match=r"log\.parquet cannot be read as Parquet"):
        logs.read(path)


def test_a_model_of_another_vocabulary_is_refused(log):
    few = models.small(16, 1, 1, 20, seed=1)
    with pytest.raises(logs.Unreadable, match="vocabulary only 20 tokens"):
        scoring.score(few, log)
    other = dataclasses.replace(log, vocabulary="0123456789abcdef")
    model = models.small(16, 1, 1, WORDS.size, seed=1)
    with pytest.raises(logs.Unreadable, match="the log is of the vocabulary 0123456789abcdef"):
        scoring.score(model, other, vocabulary=WORDS)


def test_a_width_that_heads_do_not_divide_is_refused():
    with pytest.raises(ValueError, match="width must be a multiple of 2 heads = 6, not 32"):
        models.small(32, 1, 3, 40, seed=1)


def test_a_folder_gives_back_model_and_vocabulary(model, log, tmp_path):
    model.save_pretrained(tmp_path)
    WORDS.tokenizer.save_pretrained(tmp_path)
    back, words = models.folder(tmp_path)
    assert words.digest == WORDS.digest
    np.testing.assert_array_equal(scoring.score(back, log), scoring.score(model, log))
    with pytest.raises(models.MissingData, match="holds no model"):
        models.folder(tmp_path / "nothing")


def test_an_answer_within_a_sentence_counts_where_that_is_asked():
    (item,) = tasks.examples("chain_sum", 1, seed=5)
    assert tasks.said(item, f"The answer is {item.answer}.") == 1.0
    assert tasks.said(item, f"The answer is {item.answer}7.") < 1.0
    assert tasks.said(item, f"The answer is -{item.answer}.") < 1.0
    assert tasks.reward(item, f"The answer is {item.answer}.")[1] == 0.0


def test_a_prompt_read_once_gives_all_its_responses_the_same_logits(model, log):
    parts = [torch.from_numpy(x) for x in (log.prompt_ids, log.prompt_mask, log.response, log.mask)]
    with torch.no_grad():
        alone = scoring.response_logits(model, *parts)
        together = scoring.grouped_logits(model, parts[0][::4], parts[1][::4], *parts[2:])
    # The tolerance of scoring against sampling, for the same reason; padding has no meaning.
    gaps = torch.where(parts[3][..., None], (alone - together).abs(), 0.0)
    assert float(gaps.max()) < 8e-5
