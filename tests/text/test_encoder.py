import csv

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reelhouse.text import TextEncoder
from reelhouse.text.encoder import ngrams

CORPUS = [
    "红烧肉 做法",
    "红烧排骨 做法",
    "糖醋排骨",
    "basketball highlights today",
    "basketball dunk highlights",
    "guitar lesson",
    "吉他 教学 guitar",
]


def fit(texts, dimension=4, buckets=4096, seed=7):
    return TextEncoder.fit(texts, dimension=dimension, buckets=buckets, seed=seed)


def cosine(a, b):
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def test_chinese_gives_character_ngrams_and_other_words_single_words_and_pairs():
    assert sorted(ngrams("红烧肉 Big Dog")) == sorted(["红", "烧", "肉", "红烧", "烧肉", "红烧肉", "big", "dog", "big dog"])


def test_a_pair_of_words_never_spans_a_chinese_run():
    assert sorted(ngrams("big 肉 dog")) == ["big", "dog", "肉"]


def test_like_texts_lie_closer_than_unlike_ones():
    vectors = fit(CORPUS, dimension=7).transform(["红烧排骨", "糖醋排骨", "basketball dunk"])
    assert cosine(vectors[0], vectors[1]) > 0.25
    assert abs(cosine(vectors[0], vectors[2])) < 0.1


def test_with_every_direction_kept_products_are_those_of_tf_idf_by_hand():
    # three texts of one word each but the last: idf = ln(4/3) + 1 for a and b that occur in two texts, ln(4/2) + 1 for the pair
    encoder = fit(["a", "b", "a b"], dimension=8)
    one, pair = np.log(4 / 3) + 1, np.log(2) + 1
    length = np.sqrt(2 * one**2 + pair**2)
    vectors = encoder.transform(["a", "b", "a b"])
    assert np.allclose(vectors @ vectors.T, [[1, 0, one / length], [0, 1, one / length], [one / length, one / length, 1]], atol=2e-3)
    assert np.all(vectors[:, 3:] == 0)


def test_agrees_with_scikit_learns_own_tfidf_and_svd():
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    weights = TfidfVectorizer(analyzer=lambda t: list(ngrams(t)), sublinear_tf=True).fit_transform(CORPUS)
    expected = TruncatedSVD(4, algorithm="arpack", random_state=0).fit_transform(weights)
    found = fit(CORPUS, dimension=4, buckets=2**20).transform(CORPUS)
    assert np.allclose(found @ found.T, expected @ expected.T, atol=5e-3)


def test_each_direction_is_signed_by_its_largest_entry():
    directions = fit(CORPUS).components.astype(np.float32)
    assert directions.shape[1] == 4
    assert np.all(directions[np.abs(directions).argmax(axis=0), np.arange(4)] > 0)


@pytest.mark.parametrize("texts", [[], ["好"], [""], ["same", "same"], ["a", "b"]])
def test_few_texts_leave_the_other_dimensions_zero(texts):
    encoder = fit(texts, dimension=16)
    vectors = encoder.transform(["好", "same a", "unknown", ""])
    assert vectors.shape == (4, 16)
    assert vectors.dtype == np.float32
    assert np.isfinite(vectors).all()
    assert np.all(vectors[:, len(set(texts)) :] == 0)
    assert encoder.fitted_on == len(texts)


def test_the_id_depends_on_the_set_of_texts_the_sizes_and_the_seed_only():
    same = fit(CORPUS).encoder_id
    assert fit([*reversed(CORPUS), CORPUS[0]]).encoder_id == same
    others = [fit(CORPUS[1:]), fit(CORPUS, dimension=5), fit(CORPUS, buckets=512), fit(CORPUS, seed=8)]
    assert len({same, *(e.encoder_id for e in others)}) == 5


@settings(max_examples=20, deadline=None)
@given(st.permutations(CORPUS))
def test_the_order_of_texts_does_not_change_a_vector(shuffled):
    assert np.array_equal(fit(shuffled).transform(CORPUS), fit(CORPUS).transform(CORPUS))


@settings(max_examples=20, deadline=None)
@given(st.lists(st.text(max_size=20), max_size=6))
def test_any_text_gets_a_finite_vector_of_length_at_most_one(texts):
    vectors = fit(CORPUS).transform(texts)
    assert vectors.shape == (len(texts), 4)
    assert np.all(np.linalg.norm(vectors, axis=1) <= 1.01)


def test_bytes_bring_the_same_encoder_back():
    encoder = fit(CORPUS)
    again = TextEncoder.from_bytes(encoder.to_bytes())
    assert (again.encoder_id, again.dimension, again.buckets, again.fitted_on) == (encoder.encoder_id, 4, 4096, 7)
    assert np.array_equal(again.transform(CORPUS), encoder.transform(CORPUS))
    assert again.to_bytes() == encoder.to_bytes()


def test_other_sizes_do_not_fit():
    encoder = fit(CORPUS)
    assert encoder.fits(dimension=4, buckets=4096)
    assert not encoder.fits(dimension=5, buckets=4096)
    assert not encoder.fits(dimension=4, buckets=512)


@pytest.mark.data
def test_vectors_of_kuairec_tell_its_categories_far_better_than_the_commonest_one(shared_data):
    with open(shared_data / "kuairec" / "videos.csv", encoding="utf-8", newline="") as file:
        rows = [(r["caption"], r["first_level_category_name"]) for r in csv.DictReader(file) if r["caption"] and len(r["caption"]) > 15][
            :3000
        ]
    texts, labels = [t for t, _ in rows], np.array([c for _, c in rows])
    vectors = fit(texts, dimension=64, buckets=2**15).transform(texts)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    nearest = (vectors[2000:] @ vectors[:2000].T).argmax(axis=1)
    commonest = max(np.mean(labels[2000:] == c) for c in set(labels))
    assert np.mean(labels[:2000][nearest] == labels[2000:]) > commonest + 0.1
