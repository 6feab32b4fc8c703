import numpy as np
import pytest
import torch

from reelhouse.features import Layout, Part
from reelhouse.models import ModelConfig, inference, load, network
from reelhouse.models.inference import columns_of, run_model
from reelhouse.models.network import MultimodalNetwork, dump

LAYOUT = Layout((Part("visual", "v", 4, 3), Part("audio", "a", 3, 2), Part("text", "t", 5, 1)))
CONFIG = ModelConfig("category", ("食", "b", "c"), LAYOUT, embedding_dimension=6, hidden=8)


def arrays(n, seed=0):
    draw = np.random.default_rng(seed)
    rows = {}
    for p in LAYOUT.parts:
        rows[p.modality] = draw.standard_normal((n, p.steps * p.dimension)).astype(np.float32)
        rows[f"{p.modality}_mask"] = np.ones((n, p.steps), np.float32)
    return rows


@pytest.fixture
def model():
    torch.manual_seed(0)
    return MultimodalNetwork(CONFIG).eval()


def test_shapes_and_embeddings_of_length_one(model):
    output = run_model(model, arrays(7))
    assert output.logits.shape == (7, 3)
    assert output.embeddings.shape == (7, 6)
    np.testing.assert_allclose(np.linalg.norm(output.embeddings, axis=1), 1, atol=1e-6)


def test_a_masked_frame_has_no_influence(model):
    rows = arrays(4)
    rows["visual_mask"][:, 2] = 0
    other = {n: v.copy() for n, v in rows.items()}
    other["visual"].reshape(4, 3, 4)[:, 2] = np.nan
    np.testing.assert_array_equal(run_model(model, rows).logits, run_model(model, other).logits)


def test_a_row_does_not_depend_on_its_neighbours_in_the_batch(model):
    rows = arrays(9)
    alone = [run_model(model, {n: v[i : i + 1] for n, v in rows.items()}).logits[0] for i in range(9)]
    np.testing.assert_allclose(run_model(model, rows).logits, alone, atol=1e-5)


def test_a_row_without_any_modality_is_finite(model):
    rows = {n: np.zeros_like(v) for n, v in arrays(2).items()}
    output = run_model(model, rows)
    assert np.isfinite(output.logits).all()
    assert np.isfinite(output.embeddings).all()


def test_no_rows_give_no_outputs(model):
    output = run_model(model, {n: v[:0] for n, v in arrays(1).items()})
    assert output.logits.shape == (0, 3)
    assert output.embeddings.shape == (0, 6)


def test_a_model_comes_back_from_its_bytes_as_it_was(model):
    model.temperature.fill_(2.0)
    again = load(dump(model))
    assert again.config == CONFIG
    assert not again.training
    np.testing.assert_array_equal(run_model(model, arrays(3)).logits, run_model(again, arrays(3)).logits)


def test_other_bytes_are_refused():
    import io

    buffer = io.BytesIO()
    torch.save({"format": 99}, buffer)
    with pytest.raises(ValueError, match="no model of a format known here"):
        load(buffer.getvalue())


def test_temperature_divides_the_logits(model):
    before = run_model(model, arrays(3)).logits
    model.temperature.fill_(4.0)
    np.testing.assert_allclose(run_model(model, arrays(3)).logits, before / 4, rtol=1e-5)


def test_a_constant_input_is_not_divided_by_nothing(model):
    model.standardise_by("text", torch.zeros(5), torch.tensor([0.0, 1.0, 2.0, 1e-9, 3.0]))
    assert model.inputs["text"].deviation.tolist() == [1, 1, 2, 1, 3]


def test_columns_of_a_layout():
    assert columns_of(Layout((Part("text", "t", 5, 1),))) == ["text", "text_mask"]


def test_a_worker_loads_the_bytes_of_a_model_once_and_keeps_one_model_only(model, monkeypatch):
    loaded = []
    read = network.load
    monkeypatch.setattr(inference, "_loaded", {})
    monkeypatch.setattr(network, "load", lambda content: loaded.append(content) or read(content))
    torch.manual_seed(1)
    first, second = dump(model), dump(MultimodalNetwork(CONFIG))
    asked = [first, bytes(bytearray(first)), second, first]
    for content, so_far in zip(asked, ([first], [first], [first, second], [first, second, first]), strict=True):
        now = inference._network(content)
        assert loaded == so_far
        assert list(inference._loaded.values()) == [now]
        np.testing.assert_array_equal(run_model(now, arrays(2)).logits, run_model(read(content), arrays(2)).logits)
