"""What the official clients see of a gateway, unmodified: run by their own interpreter, it prints one JSON document.

Usage: official.py CLIENT HTTP_PORT GRPC_PORT TOKEN, where CLIENT is tritonclient or kserve: both register the same messages, so each has a process.
"""

import asyncio
import json
import sys
import time

import httpx
import numpy as np

ROWS = {
    "age": ("FP32", np.array([[41.5], [20.0], [77.25]], np.float32)),
    "income": ("FP64", np.array([[1000.0], [np.nan], [3.5]])),
    "visits": ("INT64", np.array([[3], [0], [8]])),
    "member": ("BOOL", np.array([[True], [False], [True]])),
    "town": ("BYTES", np.array([["Oslo"], ["Rome"], ["Lima"]], dtype=object)),
}


def error_of(call, *arguments, **more):
    from tritonclient.utils import InferenceServerException

    try:
        call(*arguments, **more)
    except InferenceServerException as refused:
        return [refused.status(), refused.message()]
    return None


def triton(module, client, token, **binary):
    """`binary`: what only the REST client's tensors take. The headers are new for each call: the client writes into them."""

    def headers():
        return {"authorization": f"Bearer {token}"}

    def inputs(n=3, **changes):
        made = []
        for name, (datatype, values) in {**ROWS, **changes}.items():
            data = np.nan_to_num(values, nan=7.0) if name == "income" and binary.get("binary_data") is False else values
            made.append(module.InferInput(name, list(data[:n].shape), datatype))
            made[-1].set_data_from_numpy(data[:n], **binary)
        return made

    def answer(**more):
        result = client.infer("shop", inputs(), headers=headers(), request_id="q-1", **more)
        label = result.as_numpy("label")
        return {
            "scores": result.as_numpy("scores").ravel().tolist() if result.as_numpy("scores") is not None else None,
            "labels": [each.decode() if isinstance(each, bytes) else each for each in label.ravel()],
        }

    def refused(given, name="shop", **more):
        return error_of(client.infer, name, given, **{"headers": headers(), **more})

    for _ in range(50):
        client.infer("shop", inputs(1), headers=headers())
    begin = time.perf_counter()
    for _ in range(200):
        client.infer("shop", inputs(1), headers=headers())
    return {
        "microseconds": (time.perf_counter() - begin) / 200 * 1e6,
        "live": client.is_server_live(),
        "ready": client.is_server_ready(),
        "model_ready": client.is_model_ready("shop", headers=headers()),
        "version_ready": [client.is_model_ready("shop", version, headers=headers()) for version in ("1", "9")],
        "nobody_ready": client.is_model_ready("nobody", headers=headers()),
        "all": answer(),
        "label": answer(outputs=[module.InferRequestedOutput("label", **binary)]),
        "version": answer(model_version="1"),
        "keys": answer(parameters={"keys": json.dumps(["a", "b", "c"])}),
        "refused": {
            "value": refused(inputs(age=("FP32", np.array([[1], [2], [1000]], np.float32)))),
            "column": refused(inputs()[:-1]),
            "model": refused(inputs(), "nobody"),
            "version": refused(inputs(), model_version="9"),
            "token": refused(inputs(), headers={}),
        },
    }


async def of_kserve(port, token):
    import kserve
    from kserve.inference_client import InferenceRESTClient, RESTConfig
    from kserve.protocol.grpc import grpc_predict_v2_pb2

    client, url = InferenceRESTClient(RESTConfig(protocol="v2")), f"http://127.0.0.1:{port}"
    headers = {"authorization": f"Bearer {token}"}
    answers = {}
    for binary in (True, False):
        inputs = []
        for name, (datatype, values) in ROWS.items():
            data = np.nan_to_num(values, nan=7.0) if name == "income" and not binary else values
            inputs.append(kserve.InferInput(name, list(data.shape), datatype))
            inputs[-1].set_data_from_numpy(data, binary_data=binary)
        request = kserve.InferRequest("shop", inputs, request_id="q-1")
        response = await client.infer(url, request, model_name="shop", headers=dict(headers))
        answers["binary" if binary else "json"] = response.outputs[0].as_numpy().ravel().tolist()
    try:
        await client.infer(url, {"inputs": []}, model_name="shop", headers=dict(headers))
    except httpx.HTTPStatusError as refused:
        answers["refused"] = str(refused)
    health = [
        await client.is_server_live(url),
        await client.is_server_ready(url),
        await client.is_model_ready(url, "shop", headers=headers),
    ]
    await client.close()
    return {"health": health, "fields": fields(grpc_predict_v2_pb2), **answers}


def fields(module):
    """Message → field → (number, type, repeated), with nested messages."""
    found = {}

    def add(descriptor):
        found[descriptor.full_name] = {each.name: [each.number, each.type, each.is_repeated] for each in descriptor.fields}
        for nested in descriptor.nested_types:
            add(nested)

    for descriptor in module.DESCRIPTOR.message_types_by_name.values():
        add(descriptor)
    return found


def of_triton(http_port, grpc_port, token):
    import tritonclient.grpc as over_grpc
    import tritonclient.http as over_http
    from tritonclient.grpc import service_pb2

    http = over_http.InferenceServerClient(f"127.0.0.1:{http_port}")
    rpc = over_grpc.InferenceServerClient(f"127.0.0.1:{grpc_port}")
    headers = {"authorization": f"Bearer {token}"}
    return {
        "http_binary": triton(over_http, http, token, binary_data=True),
        "http_json": triton(over_http, http, token, binary_data=False),
        "grpc": triton(over_grpc, rpc, token),
        "http_metadata": [http.get_server_metadata(headers), http.get_model_metadata("shop", headers=headers)],
        "grpc_metadata": [
            rpc.get_server_metadata(headers, as_json=True),
            rpc.get_model_metadata("shop", headers=headers, as_json=True),
        ],
        "index": http.get_model_repository_index(headers),
        "fields": fields(service_pb2),
    }


def main(client, http_port, grpc_port, token):
    told = of_triton(http_port, grpc_port, token) if client == "tritonclient" else asyncio.run(of_kserve(http_port, token))
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
