import torch

from nnunet_hetero.inference.model.digests import digest_of_json, digest_of_weights


def test_weights():
    one = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.zeros(2, dtype=torch.float16)}
    same = {"b": one["b"].clone(), "a": one["a"].clone()}
    assert digest_of_weights([one]) == digest_of_weights([same])
    others = [
        {**one, "a": one["a"].reshape(3, 2)},
        {**one, "b": one["b"].bfloat16()},
        {**one, "a": one["a"] + 1e-6},
        {"c": one["a"], "b": one["b"]},
    ]
    digests = {digest_of_weights([weights]) for weights in (one, *others)}
    assert len({*digests, digest_of_weights([one, one])}) == 6


def test_json():
    assert digest_of_json({"a": 1, "b": [1, 2]}) == digest_of_json({"b": [1, 2], "a": 1})
    assert digest_of_json({"a": 1}) != digest_of_json({"a": 2})
