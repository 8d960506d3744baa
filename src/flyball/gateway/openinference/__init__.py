"""The Open Inference Protocol, version 2, over REST and gRPC: https://github.com/kserve/open-inference-protocol. Columns are inputs."""
