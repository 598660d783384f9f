"""Is a misspelled metric reported before a run, or at the latest before its first checkpoint?"""

import pytest

pytest.importorskip("fairseq")

from types import SimpleNamespace

from fairseq_summarymixing.errors import UserError
from fairseq_summarymixing.plugin.metric import logged_metric, metric_of_the_criterion


def config(metric, criterion="wav2vec", disable_validation=False, **fields):
    return SimpleNamespace(
        checkpoint=SimpleNamespace(best_checkpoint_metric=metric),
        criterion=SimpleNamespace(_name=criterion, **fields),
        dataset=SimpleNamespace(disable_validation=disable_validation),
    )


def check(cfg):
    with metric_of_the_criterion(cfg):
        pass


def test_metrics_of_the_criterion_are_known_before_the_run():
    for criterion, names in (("wav2vec", ("loss", "accuracy")), ("ctc", ("wer", "uer")), ("a user's", ("own",))):
        for name in names:
            check(config(name, criterion))
    check(config("code_perplexity", log_keys=["code_perplexity"]))
    check(config("acuracy", disable_validation=True))
    with pytest.raises(UserError, match="best_checkpoint_metric=acuracy is no metric .*: did you mean accuracy?"):
        check(config("acuracy"))
    with pytest.raises(UserError, match="best_checkpoint_metric=bestest is no metric .*: validation logs .*wer"):
        check(config("bestest", "ctc"))


def test_any_criterions_metrics_are_known_after_a_validation():
    with logged_metric(config("own", "a user's"), None, {"own": 1.0}, True):
        pass
    with pytest.raises(UserError, match="best_checkpoint_metric=won is no metric of this run: did you mean own?"):
        with logged_metric(config("won", "a user's"), None, {"own": 1.0}):
            pass
