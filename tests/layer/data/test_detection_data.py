"""DetectionData and EvalData, against loops that follow the fork's steps one by one."""

import math

import numpy as np
import pytest
from PIL import Image

from pycaffe_lite import random
from pycaffe_lite.blob import Blob
from pycaffe_lite.data import distortion, image
from pycaffe_lite.errors import PycaffeError
from pycaffe_lite.layer.base import LayerContext
from pycaffe_lite.layer.registry import create_layer
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import parse
from pycaffe_lite.random import RandomStream

SIZES = [(60, 90), (80, 50), (70, 70), (50, 120), (90, 60)]
F = np.float32


def rnd(x):
    return int(math.copysign(math.floor(abs(float(x)) + 0.5), x))


@pytest.fixture
def pictures(tmp_path):
    """Five pictures with boxes: (pixels, about (n, 3), boxes, ignored regions), and their list."""
    rng, made, blocks = np.random.default_rng(0), [], []
    for i, (height, width) in enumerate(SIZES):
        pixels = rng.integers(0, 256, (height, width, 3), np.uint8)
        Image.fromarray(pixels[..., ::-1]).save(tmp_path / f"{i}.png")
        count = [3, 1, 0, 5, 2][i]
        corners = np.sort(rng.integers(0, [[width], [height]], (count, 2, 2)), axis=2)
        corners[:, :, 1] += 12
        about = np.stack(
            [rng.integers(1, 4, count), rng.integers(0, 4, count) // 3, rng.integers(0, 2, count)], 1
        )
        boxes = corners.transpose(0, 2, 1).reshape(-1, 4)
        regions = np.array([[3, 4, 30, 30], [20, 5, 40, 45]][: i % 3])
        lines = [" ".join(map(str, row)) for row in np.hstack([about, boxes]).tolist()]
        others = [" ".join(map(str, row)) for row in regions.tolist()]
        blocks += [
            f"# {i}",
            f"{i}.png",
            "3",
            str(height),
            str(width),
            str(count),
            *lines,
            str(len(others)),
            *others,
        ]
        made.append((pixels, about, boxes.astype(F), regions.astype(F).reshape(-1, 4)))
    (tmp_path / "list.txt").write_text("\n".join(blocks) + "\n")
    return made


class Rig:
    def __init__(self, folder, kind, own, transform="", tops=2, seed=3):
        param = {"DetectionData": "detection_data_param", "EvalData": "eval_data_param"}[kind]
        text = f'name: "data" type: "{kind}" {param} {{ {own} }} transform_param {{ {transform} }}'
        random.set_random_seed(seed)
        message = parse(text, caffe_pb2.LayerParameter).message
        self.layer = create_layer(message, LayerContext(folder=folder))
        self.top = [Blob() for _ in range(tops)]
        self.layer.set_up([], self.top)

    def forward(self):
        self.layer.forward([], self.top)
        return [blob.data.copy() for blob in self.top]


def overlap(a, b, of_first=False):
    if a[2] < a[0] or a[3] < a[1] or b[2] < b[0] or b[3] < b[1]:
        return F(0)
    x1, y1, x2, y2 = max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])
    common = F(0) if x1 > x2 or y1 >= y2 else (x2 - x1 + 1) * (y2 - y1 + 1)
    areas = [(c[2] - c[0] + 1) * (c[3] - c[1] + 1) for c in (a, b)]
    whole = areas[0] if of_first else areas[0] + areas[1] - common
    return F(common / whole) if whole > 0 else F(0)


class Fork:
    """What the fork does, in its order."""

    def __init__(self, own, pictures, mirror, mean, seed=3):
        self.p = parse(
            f"detection_data_param {{ {own} }}", caffe_pb2.LayerParameter
        ).message.detection_data_param
        self.pictures, self.mirror, self.mean = pictures, mirror, mean
        main = RandomStream(seed)
        if mirror:
            main.raw()
        self.rng = RandomStream(main.raw())
        if mirror:
            main.raw()
        self.thread = RandomStream(main.raw())
        self.order = list(range(5))
        self.tall = [i for i in range(5) if SIZES[i][0] >= SIZES[i][1]]
        self.wide = [i for i in range(5) if SIZES[i][0] < SIZES[i][1]]
        self.next = 0
        self.shuffle()

    def shuffle(self):
        if self.p.HasField("shuffle") and self.p.shuffle == "random":
            self.rng.shuffle(self.order)
        elif self.p.HasField("shuffle"):
            self.rng.shuffle(self.tall)
            self.rng.shuffle(self.wide)
            lists = [list(self.tall), list(self.wide)]
            if not self.rng.raw() % 2:
                lists.reverse()
            self.order = []
            if self.p.shuffle == "random_mix_aspect":
                while lists[0] and lists[1]:
                    self.order.append(lists[len(self.order) // self.p.mix_group_size % 2].pop(0))
            self.order += lists[0] + lists[1]

    def batch(self):
        p, items, template = self.p, [], None
        ratio = F(1)
        if p.template_ratio:
            ratio = F(p.template_ratio[self.rng.raw() % len(p.template_ratio)])
        for _ in range(p.batch_size):
            item, template = self.item(template, ratio)
            items.append(item)
            self.next += 1
            if self.next == 5:
                self.next = 0
                self.shuffle()
        rows = [[n, *box, *about] for n, (_, _, boxes, infos) in enumerate(items)
                for box, about in zip(boxes, infos, strict=True)]  # fmt: skip
        truth = np.array(rows, F) if rows else np.full((1, 8), -1, F)
        maps = [np.stack(each) for each in zip(*(item[1] for item in items), strict=True)]
        return [np.stack([item[0] for item in items]), *maps, truth.reshape(-1, 8, 1, 1)]

    def item(self, template, ratio):
        p, rng = self.p, self.rng
        pixels, about, boxes, regions = self.pictures[self.order[self.next]]
        about, boxes, regions = about.copy(), boxes.copy(), regions.copy()
        if p.HasField("distort_param"):
            pixels = distortion.changed(pixels, distortion.draw_changes(p.distort_param, self.thread))
        height, width = pixels.shape[:2]
        if self.mirror and rng.raw() % 2:
            pixels = np.ascontiguousarray(pixels[:, ::-1])
            for each in (boxes, regions):
                each[:, [0, 2]] = width - each[:, [2, 0]]

        def affine(across, along, x=0, y=0):
            for each in (boxes, regions):
                each *= np.array([across, along] * 2, F)
                each += np.array([x, y] * 2, F)

        size = height, width
        if p.HasField("resize_width"):
            size = p.resize_height, p.resize_width
        elif p.HasField("resize_ratio"):
            size = rnd(F(height) * F(p.resize_ratio)), rnd(F(width) * F(p.resize_ratio))
        elif p.HasField("short_size"):
            short = rnd(F(p.short_size) * ratio / F(32)) * 32
            size = tuple(rnd(F(n) * (F(short) / F(min(height, width)))) for n in (height, width))
        if size != (height, width):
            affine(F(size[1]) / F(width), F(size[0]) / F(height))
            pixels = image.resize(pixels, *size)
        height, width = size
        if template is None:
            if p.HasField("crop_width"):
                template = p.crop_height, p.crop_width
            elif p.HasField("resize_width"):
                template = size
            elif p.HasField("crop_short_size"):
                template = (p.crop_long_size, p.crop_short_size)[:: 1 if height >= width else -1]
            elif p.HasField("short_size"):
                sides = [rnd(F(n) * ratio / F(32)) * 32 for n in (p.long_size, p.short_size)]
                template = tuple(sides[:: 1 if height >= width else -1])
            else:
                template = size
        h, w = template
        chosen = -1
        if len(boxes):
            chosen = rng.raw() % len(boxes)
            x, y = (boxes[chosen, 0] + boxes[chosen, 2]) / 2, (boxes[chosen, 1] + boxes[chosen, 3]) / 2
        else:
            x = width / 2 if w > width else rng.raw() % (width - w + 1) + w / 2
            y = height / 2 if h > height else rng.raw() % (height - h + 1) + h / 2
        acts = self.thread.bernoulli(1, float(F(p.multiscale_prob)), np.float32)[0]
        fx = fy = F(1)
        if acts and (p.HasField("low_scale_ratio") or p.HasField("min_scale")):
            low = high = F(1)
            if p.HasField("low_scale_ratio"):
                low, high = np.log2(F(p.low_scale_ratio)), np.log2(F(p.high_scale_ratio))
            elif chosen >= 0:
                b = boxes[chosen]
                scale = np.sqrt((b[2] - b[0] + 1) * (b[3] - b[1] + 1))
                low, high = np.log2(F(p.min_scale) / scale), np.log2(F(p.max_scale) / scale)
            fx = fy = F(2) ** self.thread.uniform(1, float(low), float(high))[0]
            if p.HasField("min_whaspect"):
                low, high = np.log2(F(p.min_whaspect)), np.log2(F(p.max_whaspect))
                root = np.sqrt(F(2) ** self.thread.uniform(1, float(low), float(high))[0])
                fx, fy = fx * root, fy / root
        if fx != 1 or fy != 1:
            if fx > 1.5 or fy > 1.5:
                cw, ch = min(rnd(1.2 * width / float(fx)), width), min(rnd(1.2 * height / float(fy)), height)
                left, top = max(rnd(x - cw * 0.5), 0), max(rnd(y - ch * 0.5), 0)
                left, top = left - max(left + cw - width, 0), top - max(top + ch - height, 0)
                pixels = np.ascontiguousarray(pixels[top : top + ch, left : left + cw])
                x, y = x - left, y - top
                affine(1, 1, -left, -top)
            height, width = rnd(F(pixels.shape[0]) * fy), rnd(F(pixels.shape[1]) * fx)
            pixels = image.resize(pixels, height, width)
        affine(fx, fy)
        noise_x, noise_y = rng.raw() % 20 - 10, rng.raw() % 20 - 10

        def place(there, wanted, middle, noise):
            if there < wanted:
                return min(max(0, rnd((wanted - there) / 2) + noise), wanted - there), 0, there
            if there > wanted:
                return 0, min(max(0, rnd(middle) + noise - rnd(wanted / 2)), there - wanted), wanted
            return 0, 0, wanted

        left, sx, cw = place(width, w, F(x) * fx, noise_x)
        top, sy, ch = place(height, h, F(y) * fy, noise_y)
        affine(1, 1, left - sx, top - sy)
        out = np.zeros((3, h, w), F)
        part = pixels[sy : sy + ch, sx : sx + cw].astype(F) - np.array(self.mean, F)
        out[:, top : top + ch, left : left + cw] = part.transpose(2, 0, 1)
        for k, b in enumerate(boxes):
            cx, cy = (b[0] + b[2]) / 2, (b[1] + b[3]) / 2
            if (
                not (0 <= cx < w and 0 <= cy < h)
                or b[2] - b[0] + 1 < p.min_gt_width
                or b[3] - b[1] + 1 < p.min_gt_height
            ):
                about[k, 1] = 1
        return (out, self.maps(template, (top, left, ch, cw), boxes, about, regions), boxes, about), template

    def maps(self, template, sight, boxes, about, regions):
        p = self.p
        top, left, ch, cw = sight
        made, counts = [], [0] * len(boxes)
        best, best_map = [F(0)] * len(boxes), [0] * len(boxes)
        for nn, (s, fh, fw) in enumerate(zip(p.stride, p.field_h, p.field_w, strict=True)):
            rows, columns = rnd(template[0] / s), rnd(template[1] / s)
            out = np.zeros((6, rows, columns), F)
            made.append(out)
            for i in range(rows):
                for j in range(columns):
                    inside = rnd(left / s) <= j < rnd(left / s) + rnd(cw / s)
                    inside &= rnd(top / s) <= i < rnd(top / s) + rnd(ch / s)
                    x, y = (j + 0.5) * s, (i + 0.5) * s
                    anchor = np.array([x - fw / 2, y - fh / 2, x + fw / 2, y + fh / 2], F)
                    if inside and p.HasField("anchor_ignore_margin_ratio"):
                        mx, my = (F(p.anchor_ignore_margin_ratio) * F(n) / 2 for n in (fw, fh))
                        inside = not (
                            anchor[0] < left - mx or anchor[2] >= left + cw + mx
                            or anchor[1] < top - my or anchor[3] >= top + ch + my
                        )  # fmt: skip
                    elif inside and p.HasField("anchor_ignore_iou_thr"):
                        picture = np.array([left, top, left + cw, top + ch], F)
                        inside = overlap(anchor, picture, True) >= F(p.anchor_ignore_iou_thr)
                    if not inside:
                        out[5, i, j] = 1
                        continue
                    regional = sum((overlap(anchor, r, True) for r in regions), F(0))
                    match, most = -1, F(0)
                    for k, box in enumerate(boxes):
                        iou = overlap(box, anchor)
                        if iou > most:
                            match, most = k, iou
                        if iou > best[k]:
                            best[k], best_map[k] = iou, nn
                    if most > F(p.fg_threshold):
                        out[:, i, j] = self.described(boxes[match], about[match], most)
                        counts[match] += 1
                    else:
                        out[5, i, j] = 1 if regional >= F(p.ignore_fg_threshold) else most
        for k, box in enumerate(boxes):
            if not about[k, 1] and not counts[k] and best[k] >= F(p.pickup_iou_thr):
                out, s = made[best_map[k]], p.stride[best_map[k]]
                i = min(max(math.floor((box[1] + box[3]) / 2 / s), 0), out.shape[1] - 1)
                j = min(max(math.floor((box[0] + box[2]) / 2 / s), 0), out.shape[2] - 1)
                if out[0, i, j] <= 0:
                    out[:, i, j] = self.described(box, about[k], best[k])
        return made

    @staticmethod
    def described(b, about, most):
        label = 0 if about[1] else about[0]
        return [label, (b[0] + b[2]) / 2, (b[1] + b[3]) / 2, b[2] - b[0] + 1, b[3] - b[1] + 1, most]


GRIDS = "stride: 8 field_h: 24 field_w: 24 stride: 16 field_h: 40 field_w: 32 output_gt_boxes: true"
GRIDS += " fg_threshold: 0.4"
SCALES = "low_scale_ratio: 0.6 high_scale_ratio: 2.5 multiscale_prob: 0.8 min_whaspect: 0.7 max_whaspect: 1.4"


@pytest.mark.parametrize(
    "own",
    [
        "",
        'shuffle: "random" crop_width: 64 crop_height: 48 ' + SCALES,
        'shuffle: "random_aspect" short_size: 64 long_size: 96 anchor_ignore_iou_thr: 0.6',
        'shuffle: "random_mix_aspect" mix_group_size: 2 short_size: 64 long_size: 96 template_ratio: [1, 2]',
        "resize_width: 80 resize_height: 64 anchor_ignore_margin_ratio: 0.5 min_gt_width: 20",
        "min_gt_height: 15",
        "resize_ratio: 0.7 crop_short_size: 48 crop_long_size: 64 min_scale: 10 max_scale: 60",
        "crop_width: 64 crop_height: 64 ignore_fg_threshold: 0.8 pickup_iou_thr: 0 distort_param {"
        " brightness_prob: 0.5 brightness_delta: 20 contrast_prob: 1 contrast_lower: 0.5 contrast_upper: 2 }",
    ],
)
@pytest.mark.parametrize("mirror", [False, True])
def test_as_the_fork_does(own, mirror, pictures, tmp_path):
    own = f'source: "list.txt" batch_size: 2 {GRIDS} {own}'
    rig = Rig(tmp_path, "DetectionData", own, "mean_value: [1, 2, 3]" + " mirror: true" * mirror, tops=4)
    fork = Fork(own, pictures, mirror, [1, 2, 3])
    for _ in range(7):
        for found, wanted in zip(rig.forward(), fork.batch(), strict=True):
            assert found.shape == wanted.shape
            np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-4)


def test_eval_data(pictures, tmp_path):
    own = 'source: "list.txt" batch_size: 1 short_size: 64 long_size: 90'
    rig = Rig(tmp_path, "EvalData", own, "mean_value: 5 scale: 2", tops=3)
    assert [blob.shape for blob in rig.top] == [(1, 3, 90, 64), (1, 8, 1, 1), (1, 2, 1, 1)]
    for n in (0, 1, 2, 3, 4, 0):
        data, truth, sizes = rig.forward()
        pixels, about, boxes, _ = pictures[n]
        height, width = (min(rnd(F(s) * F(64) / F(min(SIZES[n]))), 90) for s in SIZES[n])
        height, width = rnd(height / 32) * 32, rnd(width / 32) * 32
        assert sizes.ravel().tolist() == [height, width]
        wanted = (image.resize(pixels, height, width).astype(F) - 5) * 2
        np.testing.assert_array_equal(data[0], wanted.transpose(2, 0, 1))
        scaled = boxes * ([width / SIZES[n][1], height / SIZES[n][0]] * 2)
        rows = np.hstack([np.zeros((len(boxes), 1)), scaled, about]) if len(boxes) else np.full((1, 8), -1)
        np.testing.assert_allclose(truth[..., 0, 0], rows, rtol=1e-5)


@pytest.mark.parametrize(
    ("kind", "own"),
    [
        (
            "DetectionData",
            f'shuffle: "random_mix_aspect" mix_group_size: 1 crop_width: 32 crop_height: 32 {SCALES}',
        ),
        ("EvalData", "resize_width: 64 resize_height: 64"),
    ],
)
@pytest.mark.parametrize("batches", [0, 1, 4])
def test_goes_on_from_its_state(kind, own, batches, pictures, tmp_path):
    own = f'source: "list.txt" batch_size: 2 {own} ' + (GRIDS if kind == "DetectionData" else "")
    tops = 4 if kind == "DetectionData" else 2
    transform = "mirror: true" if kind == "DetectionData" else ""
    first, second = (Rig(tmp_path, kind, own, transform, tops, seed) for seed in (3, 4))
    for _ in range(batches):
        first.forward()
    assert second.layer.set_state(first.layer.state()) == ""
    for _ in range(5):
        for a, b in zip(first.forward(), second.forward(), strict=True):
            np.testing.assert_array_equal(a, b)
    assert second.layer.set_state(b"").startswith("its list starts afresh: it has changed")


@pytest.mark.parametrize(
    ("kind", "own", "says"),
    [
        ("EvalData", "batch_size: 2", "needs resize_width and resize_height, or batch_size 1"),
        ("EvalData", "batch_size: 1 short_size: 3", "needs both short_size and long_size, or neither"),
        (
            "EvalData",
            "batch_size: 1 short_size: 9 long_size: 9",
            "picture '0.png' becomes 0 x 0: take larger",
        ),
        (
            "DetectionData",
            f"batch_size: 1 {GRIDS} short_size: 1 long_size: 9",
            "sizes leave nothing of picture",
        ),
        ("EvalData", "", "needs eval_data_param.batch_size > 0"),
        ("DetectionData", "", "needs detection_data_param.batch_size > 0"),
        (
            "DetectionData",
            "batch_size: 1",
            "takes a top for pictures, one for each of 0 strides, and one for",
        ),
        ("DetectionData", "batch_size: 1 stride: 4", "needs as many stride, field_h and field_w"),
        (
            "DetectionData",
            'batch_size: 1 output_gt_boxes: true shuffle: "yes"',
            "unknown shuffle 'yes' (known: ",
        ),
        (
            "DetectionData",
            "batch_size: 1 output_gt_boxes: true crop_width: 0 crop_height: 0",
            "above 0 where they",
        ),
        (
            "DetectionData",
            "batch_size: 1 output_gt_boxes: true min_scale: 3 max_scale: 2",
            "needs 0 < min_scale <= max_scale, got 3 and 2",
        ),
    ],
)
def test_errors(kind, own, says, pictures, tmp_path):
    with pytest.raises(PycaffeError) as raised:
        Rig(tmp_path, kind, f'source: "list.txt" {own}', tops=4 if "stride: 8" in own else 2).forward()
    assert says in str(raised.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty: write a block for each picture"),
        ("0 a", "'#' and a number must come here, got '0'"),
        ("# 3 0.png 3 60 90 0 0", "has no picture 3: number the 1 from 0 on"),
        ("# 0 0.png 3 60 90 1 0 0 0 1 2 3 4 0", "labels of boxes begin with 1, got 0"),
        ("# 0 0.png 3 60 90 1 1 0 0 1 2 3 x 0", "boxes are whole numbers, got 'x'"),
        ("# 0 0.png 3 60 90 999999", "the list is too short for so many boxes"),
        ("# 0 0.png 3 61 90 0 0", "picture '0.png' is 60 x 90, the list says 61 x 90"),
        ("# 0 none.png 3 61 90 0 0", "no such file: 'none.png'"),
    ],
)
def test_lists(text, says, pictures, tmp_path):
    (tmp_path / "list.txt").write_text(text)
    with pytest.raises(PycaffeError) as raised:
        Rig(tmp_path, "EvalData", 'source: "list.txt" batch_size: 1').forward()
    assert says in str(raised.value)
