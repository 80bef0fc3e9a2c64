"""Speaks the kubelet's interface: cri.py SOCKET API

API is what describes it, as protoc writes it. A line of standard input is a request, as JSON: the name of a method and
what it is given and, if that is not a minute, the seconds to wait. A line of standard output is what came back: `{"reply": …}` or `{"error": [code, words]}`.
"""

import json
import sys

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

SECONDS = 60


def main(socket, api):
    methods = described(api)
    channel = grpc.insecure_channel(f"unix://{socket}")
    for line in sys.stdin:
        name, request, *seconds = json.loads(line)
        answered = answer(channel, *methods[name], request, *(seconds or [SECONDS]))
        print(json.dumps(answered), flush=True)


def described(api):
    """Path, request and reply of each method, by its name."""
    pool = descriptor_pool.DescriptorPool()
    methods = {}
    with open(api, "rb") as file:
        files = descriptor_pb2.FileDescriptorSet.FromString(file.read()).file
    for file in files:
        pool.Add(file)
        for service in pool.FindFileByName(file.name).services_by_name.values():
            for method in service.methods:
                messages = map(message_factory.GetMessageClass, (method.input_type, method.output_type))
                methods[method.name] = (f"/{service.full_name}/{method.name}", *messages)
    return methods


def answer(channel, path, asked, replied, request, seconds):
    call = channel.unary_unary(path, asked.SerializeToString, replied.FromString)
    try:
        reply = call(json_format.ParseDict(request, asked()), timeout=seconds)
    except grpc.RpcError as error:
        return {"error": [error.code().name, error.details()]}
    return {"reply": json_format.MessageToDict(reply, preserving_proto_field_name=True)}


main(*sys.argv[1:])
