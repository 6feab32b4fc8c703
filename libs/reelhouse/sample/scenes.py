"""Pictures: moving drawn shapes on a gradient. A scene has its motif, colours and motion; a seed varies all three within bounds."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]
Draw = Callable[[ImageDraw.ImageDraw, float, float, float, float, Colour, Colour], None]


def _plate(d: ImageDraw.ImageDraw, x: float, y: float, r: float, turn: float, ink: Colour, second: Colour) -> None:
    d.ellipse([x - r, y - r, x + r, y + r], fill=(245, 242, 236))
    d.ellipse([x - 0.7 * r, y - 0.7 * r, x + 0.7 * r, y + 0.7 * r], fill=ink)
    for k in range(5):
        a = turn + k * 1.257
        d.ellipse(_around(x + 0.4 * r * math.cos(a), y + 0.4 * r * math.sin(a), 0.16 * r), fill=second)


def _cup(d: ImageDraw.ImageDraw, x: float, y: float, r: float, turn: float, ink: Colour, second: Colour) -> None:
    d.arc([x + 0.3 * r, y - 0.5 * r, x + 1.2 * r, y + 0.4 * r], -90, 90, fill=second, width=max(2, int(r / 6)))
    d.polygon([(x - 0.8 * r, y - 0.7 * r), (x + 0.8 * r, y - 0.7 * r), (x + 0.5 * r, y + 0.8 * r), (x - 0.5 * r, y + 0.8 * r)], fill=second)
    d.ellipse([x - 0.8 * r, y - 0.9 * r, x + 0.8 * r, y - 0.5 * r], fill=ink)
    for k in (-0.4, 0.0, 0.4):
        sway = 0.15 * r * math.sin(3 * turn + 5 * k)
        d.line([(x + k * r + sway, y - 1.0 * r), (x + k * r - sway, y - 1.6 * r)], fill=(240, 240, 240), width=max(2, int(r / 10)))


def _eyes(d: ImageDraw.ImageDraw, x: float, y: float, r: float, turn: float, ink: Colour, second: Colour) -> None:
    d.ellipse(_around(x, y, r), fill=ink)
    for side in (-1, 1):
        d.polygon([(x + side * 0.9 * r, y - 0.3 * r), (x + side * 0.8 * r, y - 1.3 * r), (x + side * 0.2 * r, y - 0.9 * r)], fill=ink)
        d.ellipse(_around(x + side * 0.4 * r, y - 0.15 * r, 0.24 * r), fill=(250, 250, 245))
        d.ellipse(_around(x + side * 0.4 * r + 0.1 * r * math.cos(turn), y - 0.15 * r, 0.12 * r), fill=(15, 15, 20))
    d.polygon([(x - 0.14 * r, y + 0.2 * r), (x + 0.14 * r, y + 0.2 * r), (x, y + 0.4 * r)], fill=second)


def _figure(d: ImageDraw.ImageDraw, x: float, y: float, r: float, turn: float, ink: Colour, second: Colour) -> None:
    w = max(3, int(r / 5))
    d.ellipse(_around(x, y - 1.1 * r, 0.32 * r), fill=second)
    d.line([(x, y - 0.8 * r), (x, y + 0.2 * r)], fill=ink, width=w)
    for side in (-1, 1):
        swing = math.sin(4 * turn) * side
        d.line([(x, y - 0.6 * r), (x + side * 0.8 * r, y - 0.6 * r - 0.5 * r * swing)], fill=ink, width=w)
        d.line([(x, y + 0.2 * r), (x + side * 0.5 * r + 0.25 * r * swing, y + 1.1 * r)], fill=ink, width=w)


def _ball(d: ImageDraw.ImageDraw, x: float, y: float, r: float, turn: float, ink: Colour, second: Colour) -> None:
    w = max(2, int(r / 12))
    d.ellipse(_around(x, y, r), fill=ink, outline=second, width=w)
    for k in (0.0, math.pi / 2):
        c, s = r * math.cos(turn + k), r * math.sin(turn + k)
        d.line([(x - c, y - s), (x + c, y + s)], fill=second, width=w)


def _tower(d: ImageDraw.ImageDraw, x: float, y: float, r: float, turn: float, ink: Colour, second: Colour) -> None:
    d.rectangle([x - 0.55 * r, y - 1.8 * r, x + 0.55 * r, y + 4 * r], fill=ink)
    for row in range(8):
        for side in (-0.3, 0.0, 0.3):
            lit = math.sin(7 * row + 13 * side + round(2 * turn)) > 0
            top = y - 1.6 * r + row * 0.45 * r
            d.rectangle([x + (side - 0.09) * r, top, x + (side + 0.09) * r, top + 0.22 * r], fill=second if lit else (40, 42, 50))


def _strings(d: ImageDraw.ImageDraw, x: float, y: float, r: float, turn: float, ink: Colour, second: Colour) -> None:
    d.rounded_rectangle([x - 1.4 * r, y - 0.7 * r, x + 1.4 * r, y + 0.7 * r], radius=max(2, int(r / 4)), fill=ink)
    for k in range(6):
        high = y - 0.5 * r + k * 0.2 * r
        bend = 0.12 * r * math.sin(9 * turn + k)
        d.line([(x - 1.3 * r, high), (x, high + bend), (x + 1.3 * r, high)], fill=second, width=max(1, int(r / 18)))


def _screen(d: ImageDraw.ImageDraw, x: float, y: float, r: float, turn: float, ink: Colour, second: Colour) -> None:
    d.rounded_rectangle([x - 1.2 * r, y - 0.8 * r, x + 1.2 * r, y + 0.8 * r], radius=max(2, int(r / 6)), fill=(25, 27, 33))
    d.rectangle([x - 1.05 * r, y - 0.65 * r, x + 1.05 * r, y + 0.65 * r], fill=ink)
    for k in range(5):
        length = (0.4 + 0.5 * abs(math.sin(turn + 2 * k))) * 1.8 * r
        d.rectangle([x - 0.9 * r, y + (-0.5 + 0.22 * k) * r, x - 0.9 * r + length, y + (-0.4 + 0.22 * k) * r], fill=second)


def _petals(d: ImageDraw.ImageDraw, x: float, y: float, r: float, turn: float, ink: Colour, second: Colour) -> None:
    d.line([(x, y), (x, y + 2.2 * r)], fill=(52, 120, 60), width=max(2, int(r / 8)))
    for k in range(7):
        a = 0.3 * turn + k * 2 * math.pi / 7
        d.ellipse(_around(x + 0.6 * r * math.cos(a), y + 0.6 * r * math.sin(a), 0.36 * r), fill=ink)
    d.ellipse(_around(x, y, 0.34 * r), fill=second)


def _waves(d: ImageDraw.ImageDraw, x: float, y: float, r: float, turn: float, ink: Colour, second: Colour) -> None:
    for k in range(3):
        base = y + k * 0.6 * r
        points = [(x + t * 0.3 * r, base + 0.25 * r * math.sin(0.8 * t + 3 * turn + k)) for t in range(-8, 9)]
        d.line(points, fill=ink if k % 2 else second, width=max(3, int(r / 5)), joint="curve")


def _peaks(d: ImageDraw.ImageDraw, x: float, y: float, r: float, turn: float, ink: Colour, second: Colour) -> None:
    d.polygon([(x - 1.6 * r, y + 1.2 * r), (x, y - 1.2 * r), (x + 1.6 * r, y + 1.2 * r)], fill=ink)
    d.polygon([(x - 0.4 * r, y - 0.6 * r), (x, y - 1.2 * r), (x + 0.4 * r, y - 0.6 * r), (x, y - 0.4 * r)], fill=second)


def _fan(d: ImageDraw.ImageDraw, x: float, y: float, r: float, turn: float, ink: Colour, second: Colour) -> None:
    start = 200 + 20 * math.sin(2 * turn)
    for k in range(8):
        d.pieslice(_around(x, y, 1.3 * r), start + 17 * k, start + 17 * (k + 1), fill=ink if k % 2 else second)


def _grid(d: ImageDraw.ImageDraw, x: float, y: float, r: float, turn: float, ink: Colour, second: Colour) -> None:
    for row in range(4):
        for col in range(4):
            at_x, at_y = x + (col - 1.5) * 0.55 * r, y + (row - 1.5) * 0.55 * r
            chosen = (row * 4 + col + int(3 * turn)) % 5 == 0
            d.rectangle(_around(at_x, at_y, 0.22 * r), fill=second if chosen else ink)


def _stage(d: ImageDraw.ImageDraw, x: float, y: float, r: float, turn: float, ink: Colour, second: Colour) -> None:
    lean = 0.8 * r * math.sin(2 * turn)
    d.polygon([(x, y - 1.6 * r), (x - 0.7 * r + lean, y + 1.3 * r), (x + 0.7 * r + lean, y + 1.3 * r)], fill=second)
    d.ellipse([x - 0.8 * r + lean, y + 1.1 * r, x + 0.8 * r + lean, y + 1.5 * r], fill=ink)


def _around(x: float, y: float, r: float) -> list[float]:
    return [x - r, y - r, x + r, y + r]


# name: motif, hue of the ground, hue of the ink, motion, how many shapes
SCENES: dict[str, tuple[Draw, float, float, str, int]] = {
    "plates": (_plate, 0.08, 0.03, "orbit", 3),
    "cups": (_cup, 0.10, 0.07, "sway", 2),
    "eyes": (_eyes, 0.33, 0.09, "bounce", 2),
    "figures": (_figure, 0.75, 0.92, "bounce", 3),
    "balls": (_ball, 0.30, 0.06, "bounce", 2),
    "towers": (_tower, 0.63, 0.60, "slide", 5),
    "strings": (_strings, 0.06, 0.11, "sway", 2),
    "screens": (_screen, 0.58, 0.55, "slide", 2),
    "petals": (_petals, 0.40, 0.95, "sway", 5),
    "waves": (_waves, 0.53, 0.56, "slide", 4),
    "peaks": (_peaks, 0.57, 0.45, "slide", 3),
    "fans": (_fan, 0.98, 0.13, "orbit", 3),
    "grid": (_grid, 0.14, 0.80, "sway", 2),
    "stage": (_stage, 0.80, 0.02, "orbit", 3),
}


def frames(scene: str, width: int, height: int, count: int, fps: int, *, seed: int, overlay: str | None = None) -> Iterator[np.ndarray]:
    """`count` pictures (height, width, 3) uint8 RGB of a scene; the same arguments give the same pictures."""
    motif, ground_hue, ink_hue, motion, shapes = SCENES[scene]
    rng = np.random.default_rng(seed)
    ground = _ground(width, height, ground_hue, rng)
    ink, second = _colour(ink_hue, 0.75, 0.85, rng), _colour(ink_hue + 0.45, 0.35, 0.97, rng)
    places = rng.uniform(0.15, 0.85, (shapes, 2))
    phases, speeds = rng.uniform(0, 2 * math.pi, shapes), rng.uniform(0.6, 1.4, shapes)
    radius = min(width, height) * rng.uniform(0.13, 0.2)
    for number in range(count):
        seconds = number / fps
        picture = ground.copy()
        draw = ImageDraw.Draw(picture)
        for k in range(shapes):
            turn = phases[k] + speeds[k] * seconds
            x, y = _moved(motion, places[k], turn, width, height)
            motif(draw, x, y, radius, turn, ink, second)
        if overlay:
            _write(draw, overlay, width, height)
        yield np.asarray(picture)


def _moved(motion: str, place: np.ndarray, turn: float, width: int, height: int) -> tuple[float, float]:
    x, y = float(place[0]), float(place[1])
    if motion == "orbit":
        x, y = x + 0.12 * math.cos(turn), y + 0.12 * math.sin(turn)
    elif motion == "bounce":
        x, y = x + 0.05 * math.sin(turn), 0.85 - 0.5 * abs(math.sin(1.7 * turn))
    elif motion == "slide":
        x, y = (x + 0.12 * turn) % 1.2 - 0.1, 0.35 + 0.4 * y
    else:
        x = x + 0.08 * math.sin(1.5 * turn)
    return x * width, y * height


def _ground(width: int, height: int, hue: float, rng: np.random.Generator) -> Image.Image:
    """A gradient between two shades of a hue with large soft spots and grain: no two videos share a ground."""
    low, high = np.array(_colour(hue, 0.55, 0.35, rng)), np.array(_colour(hue + 0.05, 0.4, 0.8, rng))
    across, down = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
    angle = rng.uniform(0, 2 * math.pi)
    ramp = across * math.cos(angle) + down * math.sin(angle)
    for _ in range(7):
        x, y = rng.uniform(-1, 1, 2)
        wide, tall = rng.uniform(0.15, 0.6, 2)
        ramp += rng.choice([-1, 1]) * rng.uniform(0.6, 1.4) * np.exp(-(((across - x) / wide) ** 2) - ((down - y) / tall) ** 2)
    ramp = ((ramp - ramp.min()) / (ramp.max() - ramp.min()))[..., None]  # (height, width, 1)
    grain = rng.normal(0, 5, (height // 8 + 1, width // 8 + 1, 1)).repeat(8, 0).repeat(8, 1)[:height, :width]
    return Image.fromarray(np.clip(low + (high - low) * ramp + grain, 0, 255).astype(np.uint8))


def _colour(hue: float, saturation: float, value: float, rng: np.random.Generator) -> Colour:
    shades = colorsys.hsv_to_rgb(
        (hue + rng.normal(0, 0.025)) % 1,
        float(np.clip(saturation + rng.normal(0, 0.08), 0, 1)),
        float(np.clip(value + rng.normal(0, 0.05), 0, 1)),
    )
    return int(255 * shades[0]), int(255 * shades[1]), int(255 * shades[2])


def _write(draw: ImageDraw.ImageDraw, text: str, width: int, height: int) -> None:
    size = max(14, min(height // 9, int(1.6 * width / max(len(text), 1))))
    font = ImageFont.load_default(size)
    across = draw.textlength(text, font=font)
    left, top = (width - across) / 2, height - 1.9 * size
    draw.rectangle([left - 6, top - 3, left + across + 6, top + 1.35 * size], fill=(20, 20, 24))
    draw.text((left, top), text, font=font, fill=(255, 255, 255))
