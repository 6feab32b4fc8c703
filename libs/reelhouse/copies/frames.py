"""From rows of silver.frames to the hashes that copies are found by: frames that show next to nothing are left out."""

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.functions import pandas_udf
from pyspark.sql.types import FloatType

# A flat, black or nearly flat frame: the signs of its DCT coefficients are noise, and all such frames look alike.
# Standard deviation of brightness, 0..255; a plain screen has 0-2, a dim scene 10, common ones 40-70.
CONTRAST_MIN = 8.0
# A hash compares 64 coefficients with their median, so about half of the bits are set; ties of a flat frame leave few.
BITS_MIN, BITS_MAX = 12, 52


def informative_hashes(frames: DataFrame) -> DataFrame:
    """One row for each video with frames: its informative frames' perceptual hashes in order of time (maybe none).

    frames: video_id, frame_index, jpeg, perceptual_hash. A frame counts if its brightness varies by CONTRAST_MIN or more and its
    hash has between BITS_MIN and BITS_MAX bits set. Returns video_id, frame_hashes array<bigint>.
    """
    bits = F.bit_count("perceptual_hash")
    # the cheap test guards the costly one; the order of a conjunction is not promised, a case's is
    informative = F.when(bits.between(BITS_MIN, BITS_MAX), contrast_of("jpeg") >= CONTRAST_MIN).otherwise(F.lit(False))
    frame = F.struct("frame_index", "perceptual_hash", informative.alias("informative"))
    ordered = F.sort_array(F.collect_list("frame"))
    kept = F.filter(ordered, lambda f: f.informative)
    return (
        frames.select("video_id", frame.alias("frame"))
        .groupBy("video_id")
        .agg(F.transform(kept, lambda f: f.perceptual_hash).alias("frame_hashes"))
    )


@pandas_udf(FloatType())  # type: ignore[call-overload]
def contrast_of(jpeg: pd.Series) -> pd.Series:
    return jpeg.map(contrast).astype("float32")


def contrast(jpeg: bytes) -> float:
    """Standard deviation of the brightness (0..255) of a JPEG, from its 1/8 scale; 0 for bytes that are no image."""
    from io import BytesIO

    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(BytesIO(jpeg)) as image:
            image.draft("L", (max(1, image.width // 8), max(1, image.height // 8)))  # decodes at 1/8 scale: 0.1 ms
            return float(np.asarray(image.convert("L"), np.float32).std())
    except (UnidentifiedImageError, OSError):
        return 0.0
