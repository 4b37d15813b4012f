from bo_shaping.storage.best_sparse import best_sparse
from bo_shaping.storage.records import TrialRecord


def record(index, mean, status="completed", sparse=1.0, **parameters):
    weights = {"shap": 1 - sparse, "lime": 0.0, "sparse": sparse}
    return TrialRecord(index=index, status=status, weights=weights, parameters=parameters, mean=mean)


def test_it_is_sparse_alone_and_completed():
    records = [
        record(0, 1.0, gae_lambda=0.9),
        record(1, 2.0, gae_lambda=1.0),
        record(2, 3.0, sparse=0.9),
        record(3, 4.0, status="stopped"),
    ]
    assert best_sparse(records) == [records[1]]
    assert best_sparse(records[2:]) == []


def test_the_mean_over_trials_of_an_arm_decides():
    records = [record(0, 3.0, gae_lambda=0.9), record(1, 0.0, gae_lambda=0.9), record(2, 2.0, gae_lambda=1.0)]
    assert best_sparse(records) == [records[2]]
    assert best_sparse(records[:2]) == records[:2]
