import numpy as np
import pytest
from layer_check import build_layer, check_layer

from pycaffe_lite.errors import LayerError
from pycaffe_lite.layer.vision.mean_field import PixelFilter, pixel_features

R = np.random.default_rng(0)
C, H, W = 3, 4, 5
U = R.normal(size=(1, C, H, W))
IMAGE = R.uniform(0, 255, size=(1, 3, H, W))
SIZE = np.array([[H, W]])


def means(features):
    """The matrix of a normalised filter, column by column."""
    own = PixelFilter.of(features, np.dtype(np.float64))
    return own.apply(np.eye(len(features))).T


def softmax(x):
    e = np.exp(x - x.max(axis=0))
    return e / e.sum(axis=0)


def test_filters_are_means_that_near_and_like_pixels_make():
    """The lattice is an approximation of the Gaussian: for a smooth signal, to some percent."""
    height = width = 14
    features = pixel_features(height, width, 3.0, None, 1)
    matrix = means(features)
    np.testing.assert_allclose(matrix.sum(axis=1), 1)
    distance = ((features[:, None] - features[None]) ** 2).sum(axis=2)
    exact = np.exp(-distance / 2)
    exact /= exact.sum(axis=1, keepdims=True)
    signal = np.sin(np.mgrid[:height, :width][1] / 4).ravel()
    np.testing.assert_allclose(matrix @ signal, exact @ signal, atol=0.05)
    assert np.corrcoef(matrix[100], exact[100])[0, 1] > 0.98


def test_the_gradient_of_a_filter_is_its_transpose():
    own = PixelFilter.of(pixel_features(H, W, 2.0, IMAGE[0], 40.0), np.dtype(np.float64))
    forward = own.apply(np.eye(H * W)).T
    np.testing.assert_allclose(own.gradient(np.eye(H * W)), forward, atol=1e-12)


@pytest.mark.parametrize("with_image", [False, True])
def test_inference(with_image):
    fields = "max_iter: 3 pos_w: 2 pos_xy_std: 2"
    bottoms = [U, SIZE]
    filters = [(2.0, means(pixel_features(H, W, 2.0, None, 1)))]
    if with_image:
        fields += " bi_w: 1.5 bi_xy_std: 4 bi_rgb_std: 60"
        bottoms.append(IMAGE)
        filters.append((1.5, means(pixel_features(H, W, 4.0, IMAGE[0], 60.0))))
    unary = U[0].reshape(C, -1)
    Q = softmax(unary)
    for _ in range(3):
        Q = softmax(unary + sum(w * (matrix @ Q.T).T for w, matrix in filters))
    text = f'type: "DenseCRF" dense_crf_param {{ {fields} %s }}'
    (y,) = build_layer(text % "", bottoms).forward()
    np.testing.assert_allclose(y[0].reshape(C, -1), Q, rtol=1e-4, atol=1e-6)
    (y,) = build_layer(text % "output_probability: false", bottoms).forward()
    np.testing.assert_allclose(y[0].reshape(C, -1), np.log(Q), rtol=1e-4, atol=1e-4)


def test_padding_is_left_out():
    text = 'type: "DenseCRF" dense_crf_param { pos_w: 2 pos_xy_std: 2 }'
    (y,) = build_layer(text, [U, np.array([[3, 4]])]).forward()
    (right,) = build_layer(text, [U[:, :, :3, :4], np.array([[3, 4]])]).forward()
    np.testing.assert_allclose(y[:, :, :3, :4], right, rtol=1e-5)
    assert not y[:, :, 3:].any()
    assert not y[:, :, :, 4:].any()


MEANFIELD = "num_iterations: 2 theta_alpha: 4 theta_beta: 60 theta_gamma: 2"


def test_a_recurrent_net():
    def reference(bottoms, blobs):
        y = np.empty_like(bottoms[0])
        spatial, bilateral, compatibility = (blob.reshape(C, C) for blob in blobs)
        near = means(pixel_features(H, W, 2.0, None, 1))
        for n in range(len(y)):
            alike = means(pixel_features(H, W, 4.0, bottoms[2][n], 60.0))
            u, q = (b[n].reshape(C, -1) for b in bottoms[:2])
            for _ in range(2):
                Q = softmax(q).T
                q = u - compatibility @ (spatial @ (near @ Q).T + bilateral @ (alike @ Q).T)
            y[n] = q.reshape(C, H, W)
        return [y]

    two = [np.concatenate([a, b]) for a, b in ((U, U + 1), (U * 2, U), (IMAGE, IMAGE[..., ::-1]))]
    check_layer(
        f'type: "MultiStageMeanfield" multi_stage_meanfield_param {{ {MEANFIELD} }}',
        two,
        reference,
        resized=(),
        threshold=1e-5,
    )


def test_first_weights(tmp_path, monkeypatch):
    fields = f"{MEANFIELD} spatial_filter_weight: 7 bilateral_filter_weight: 9"
    text = f'type: "MultiStageMeanfield" multi_stage_meanfield_param {{ {fields} }}'
    monkeypatch.chdir(tmp_path)
    blobs = build_layer(text, [U, U, IMAGE]).layer.blobs
    assert [blob.shape for blob in blobs] == [(1, 1, C, C)] * 3
    for blob, value in zip(blobs, (7, 9, -1), strict=True):
        np.testing.assert_array_equal(blob.data[0, 0], value * np.eye(C))
    (tmp_path / "spatial.par").write_text("1 2 3\n")
    blobs = build_layer(text, [U, U, IMAGE]).layer.blobs
    np.testing.assert_array_equal(blobs[0].data[0, 0], np.diag([1, 2, 3]))
    (tmp_path / "bilateral.par").write_text("1 2")
    with pytest.raises(LayerError, match=r"needs 3 numbers in bilateral.par, got 2"):
        build_layer(text, [U, U, IMAGE])


@pytest.mark.parametrize(
    ("text", "bottoms", "message"),
    [
        ('type: "DenseCRF" dense_crf_param { pos_w: 1 }', [U, SIZE], "needs as many pos_w as pos_xy_std"),
        ('type: "DenseCRF" dense_crf_param { bi_w: 1 }', [U, SIZE], "needs as many bi_w as bi_xy_std"),
        ('type: "DenseCRF"', [U, SIZE, IMAGE], "has pictures, but no bi_w for their colours"),
        ('type: "DenseCRF" dense_crf_param { pos_w: 1 pos_xy_std: 0 }', [U, SIZE], "bi_rgb_std above 0"),
        ('type: "DenseCRF"', [U, SIZE[0]], "needs a height and a width for each of 1 pictures"),
        (
            'type: "MultiStageMeanfield" multi_stage_meanfield_param { num_iterations: 1 }',
            [U, U, IMAGE],
            "needs num_iterations of 2 or more, got 1",
        ),
        (
            'type: "MultiStageMeanfield" multi_stage_meanfield_param { compatibility_mode: EMPIRICAL }',
            [U, U, IMAGE],
            "needs compatibility_mode POTTS",
        ),
        (
            'type: "MultiStageMeanfield" multi_stage_meanfield_param { theta_beta: 0 }',
            [U, U, IMAGE],
            "needs theta_alpha, theta_beta and theta_gamma above 0",
        ),
        ('type: "MultiStageMeanfield"', [U, U, IMAGE[:, :1]], "needs pictures of 3 channels"),
        ('type: "MultiStageMeanfield"', [U, U[:, :2], IMAGE], "needs scores of 3 classes"),
    ],
)
def test_errors(text, bottoms, message):
    with pytest.raises(LayerError) as error:
        build_layer(text, bottoms)
    assert message in str(error.value)


def test_a_size_beyond_the_blob():
    rig = build_layer('type: "DenseCRF" dense_crf_param { pos_w: 1 pos_xy_std: 1 }', [U, SIZE * 0])
    with pytest.raises(LayerError, match="needs a picture of 1x1 to 4x5, got 0x0"):
        rig.forward()
