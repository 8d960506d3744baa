"""The least that a project says of itself."""

YAML = """
project: shop
model: returns
task: binary
data: {source: {files: rows.csv}, time: at, key: id, label: late, label_delay: 1h, features: {hour: number}}
train: {entrypoint: "pipeline:train"}
"""
